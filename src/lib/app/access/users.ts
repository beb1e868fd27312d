import { recordIdentityEvent } from '../../domain/auth/index.ts';
import {
  displayName,
  emailAddress,
  eraseUser,
  findUser,
  insertUser,
  listUsers,
  setRoles,
  setStatus,
  type User,
  type UserChange,
  type UserFilter,
  UserService,
  updateUser,
  userName,
} from '../../domain/users/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { sqlState } from '../../infra/database/errors.ts';
import type { Actor } from '../../shared/actor.ts';
import { ConflictError, PreconditionError, UsageError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import type { Permission } from '../../shared/permission.ts';
import { eraseCredentials } from './erasure.ts';
import { checked } from './input.ts';
import { isAdmin, requireAdmin, requireOwn } from './rights.ts';

export interface UserDraft {
  readonly name: string;
  readonly displayName?: string | undefined;
  readonly email?: string | undefined;
  readonly roles?: readonly Permission[] | undefined;
  readonly kind?: 'person' | 'service' | undefined;
}

const uniqueViolation = '23505';
const checkViolation = '23514';

/**
 * Who may act, changed by admins. Each change and its event are one transaction; what takes something away makes tokens that
 * were issued before void, by triggers of the database.
 */
export class UserAdministration {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Users by name; deleted ones only when their status is asked for. @throws ForbiddenError */
  async list(actor: Actor, filter: UserFilter): Promise<{ readonly users: readonly User[]; readonly count: number }> {
    requireAdmin(actor, 'The list of users');
    return listUsers(this.#database, filter);
  }

  /**
   * One user by id, name or mail address. Who is no admin sees themselves, and can't tell who else there is.
   * @throws NotFoundError; ForbiddenError
   */
  async show(actor: Actor, handle: string): Promise<User> {
    const service = new UserService(this.#database);
    if (isAdmin(actor)) return service.find(handle);
    const own = await service.get(actor.userId);
    const found = [own.id, own.name, own.email].includes(handle.trim().toLowerCase());
    if (!found) requireAdmin(actor, 'What is known of other users');
    requireOwn(actor, own.id, 'What is known of other users');
    return own;
  }

  /** @throws UsageError for what can't be a name or address; ConflictError when one is taken; ForbiddenError */
  async create(actor: Actor, draft: UserDraft): Promise<User> {
    requireAdmin(actor, 'Adding users');
    const kind = draft.kind ?? 'person';
    const name = checked(userName, draft.name, 'The name');
    const user = {
      name,
      displayName: checked(displayName, draft.displayName ?? name, 'The display name'),
      email: draft.email === undefined ? undefined : checked(emailAddress, draft.email, 'The address'),
      roles: draft.roles ?? [kind === 'person' ? 'user' : 'service'],
      kind,
    } as const;
    return this.#changed(async (tx) => {
      const added = await insertUser(tx, user);
      if (added === undefined) throw new Error(`The user ${name} is not there after it was added`);
      const data = { change: 'created', name, kind, roles: user.roles };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: added.id, actorId: actor.userId, data });
      return added;
    });
  }

  /** @throws as `create`; NotFoundError */
  async update(actor: Actor, handle: string, change: UserChange): Promise<User> {
    requireAdmin(actor, 'Changing users');
    const { name, displayName: shown, email } = change;
    const wanted: UserChange = {
      name: name === undefined ? undefined : checked(userName, name, 'The name'),
      displayName: shown === undefined ? undefined : checked(displayName, shown, 'The display name'),
      email: email === undefined || email === null ? email : checked(emailAddress, email, 'The address'),
    };
    return this.#change(handle, async (tx, before) => {
      const fields = [
        ...(wanted.name === undefined || wanted.name === before.name ? [] : ['name']),
        ...(wanted.displayName === undefined || wanted.displayName === before.displayName ? [] : ['display_name']),
        ...(wanted.email === undefined || wanted.email === (before.email ?? null) ? [] : ['email']),
      ];
      if (fields.length === 0) return before;
      const after = await updateUser(tx, before.id, wanted);
      const data = { change: 'updated', fields };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: before.id, actorId: actor.userId, data });
      return after;
    });
  }

  /** Gives and takes roles at once. @throws ConflictError when it would leave nobody to administer; as `update` */
  async changeRoles(
    actor: Actor,
    handle: string,
    change: { readonly add: readonly Permission[]; readonly remove: readonly Permission[] },
  ): Promise<User> {
    requireAdmin(actor, 'Giving and taking roles');
    const both = change.add.filter((role) => change.remove.includes(role));
    if (both.length > 0) throw new UsageError(`${both.join(', ')} can't be given and taken at once`);
    return this.#change(handle, async (tx, before) => {
      const kept = before.roles.filter((role) => !change.remove.includes(role));
      const roles = [...new Set([...kept, ...change.add])];
      const added = roles.filter((role) => !before.roles.includes(role));
      const removed = before.roles.filter((role) => !roles.includes(role));
      if (added.length + removed.length === 0) return before;
      const after = await setRoles(tx, before.id, roles);
      const data = { added, removed, roles };
      await recordIdentityEvent(tx, { type: 'role_changed', userId: before.id, actorId: actor.userId, data });
      return after;
    });
  }

  /** Suspends a user: every session ends, nothing is issued. @throws as `changeRoles` */
  async ban(actor: Actor, handle: string, reason: string): Promise<User> {
    requireAdmin(actor, 'Suspending users');
    const why = checked(displayName, reason, 'The reason');
    return this.#change(handle, async (tx, before) => {
      const after = await setStatus(tx, before.id, 'suspended', why);
      const data = { change: 'suspended', reason: why };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: before.id, actorId: actor.userId, data });
      return after;
    });
  }

  /** Lets a suspended user in again; what was ended stays ended. @throws as `update` */
  async unban(actor: Actor, handle: string): Promise<User> {
    requireAdmin(actor, 'Letting users in again');
    return this.#change(handle, async (tx, before) => {
      if (before.status === 'active') return before;
      const after = await setStatus(tx, before.id, 'active', undefined);
      const data = { change: 'reinstated' };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: before.id, actorId: actor.userId, data });
      return after;
    });
  }

  /**
   * Erases a user: personal data and every credential go, the id stays, since the audit names it. It can't be undone, and
   * the name and the address are free again.
   * @throws as `changeRoles`
   */
  async erase(actor: Actor, handle: string): Promise<{ readonly user: User; readonly name: string }> {
    requireAdmin(actor, 'Deleting users');
    let name = '';
    const user = await this.#change(handle, async (tx, before) => {
      name = before.name;
      const after = await eraseUser(tx, before.id, `deleted-${before.id}`);
      await eraseCredentials(tx, before.id, actor.userId);
      const data = { change: 'deleted', kind: before.kind };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: before.id, actorId: actor.userId, data });
      return after;
    });
    return { user, name };
  }

  /** Works on a user that is locked meanwhile, so that two changes are made one after the other. */
  async #change(handle: string, work: (tx: Queryable, before: User) => Promise<User | undefined>): Promise<User> {
    const { id } = await new UserService(this.#database).find(handle);
    return this.#changed(async (tx) => {
      const before = await findUser(tx, id as UserId, 'FOR UPDATE');
      if (before === undefined || before.status === 'deleted') throw deleted(id);
      const after = await work(tx, before);
      if (after === undefined) throw deleted(id);
      return after;
    });
  }

  async #changed(work: (tx: Queryable) => Promise<User>): Promise<User> {
    try {
      return await this.#database.transaction(work);
    } catch (error) {
      throw inOurWords(error);
    }
  }
}

function deleted(id: UserId): PreconditionError {
  return new PreconditionError('This user was deleted', {
    hint: 'Its id stays for the audit; nothing else of it does.',
    data: { user: id },
  });
}

function inOurWords(error: unknown): unknown {
  const constraint = (error as { constraint?: unknown }).constraint;
  if (sqlState(error) === uniqueViolation && (constraint === 'users_name_key' || constraint === 'users_email_key')) {
    const what = constraint === 'users_name_key' ? 'name' : 'address';
    return new ConflictError(`Another user has that ${what}`, { next: ['admin users list'], cause: error });
  }
  if (sqlState(error) === checkViolation && constraint === 'users_keep_an_admin') {
    return new ConflictError('Nobody would be left who could administer: this is the last active admin', {
      hint: 'Make somebody else an admin first.',
      next: ['admin users list --role admin'],
      data: { reason: 'last_admin' },
      cause: error,
    });
  }
  return error;
}
