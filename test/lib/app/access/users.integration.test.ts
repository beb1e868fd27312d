import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessGrants } from '../../../../src/lib/app/access/grants.ts';
import { UserSessions } from '../../../../src/lib/app/access/sessions.ts';
import { UserAdministration } from '../../../../src/lib/app/access/users.ts';
import { SessionService } from '../../../../src/lib/domain/auth/index.ts';
import type { IdentityEventsRow } from '../../../../src/lib/domain/auth/tables.ts';
import { type User, UserService } from '../../../../src/lib/domain/users/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import {
  ConflictError,
  ForbiddenError,
  NotFoundError,
  PreconditionError,
  UsageError,
} from '../../../../src/lib/shared/errors.ts';
import { newId, type SessionId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

let test: TestDatabase;
let app: Database;
let admin: Actor;
let people: UserAdministration;
let sessions: UserSessions;

beforeAll(async () => {
  test = await createTestDatabase();
  app = openDatabase(test.app, { poolSize: 4, actor: 'system' });
  const owner = await new UserService(app).ensureOwner();
  admin = { userId: owner.id, userName: owner.name, scopes: ['admin'], permission: 'admin' };
  people = new UserAdministration(app);
  sessions = new UserSessions(app);
});
afterAll(async () => {
  await app.close();
  await test.drop();
});

const actorOf = (user: User): Actor => ({
  userId: user.id,
  userName: user.name,
  scopes: ['user'],
  permission: 'user',
});
let count = 0;
const newUser = (draft: { email?: string; roles?: ('admin' | 'user' | 'mcp')[] } = {}) =>
  people.create(admin, { name: `u${++count}`, ...draft });
const eventsOf = (user: User) =>
  app.query<IdentityEventsRow>('SELECT * FROM identity_events WHERE user_id = $1 ORDER BY id', [user.id]);
const signIn = async (user: User, client = 'browser'): Promise<SessionId> =>
  (await new SessionService(app).begin({ userId: user.id, client, ttlSeconds: 600 })).id;

describe('users', () => {
  it('are found by id, name and address, in whichever form it is written', async () => {
    const user = await newUser({ email: 'Ada@Example.com' });
    for (const handle of [user.id, user.id.toUpperCase(), user.name, user.name.toUpperCase(), 'ａｄａ@example.com']) {
      expect((await people.show(admin, handle)).id, handle).toBe(user.id);
    }
    for (const handle of [
      'nobody',
      'nobody@example.com',
      randomUUID(),
      '',
      "'; DROP TABLE users; --",
      '\u0430da@example.com',
    ]) {
      await expect(people.show(admin, handle), handle).rejects.toThrow(NotFoundError);
    }
  });

  it('auth 49: have addresses of their own: two that fold to one are one', async () => {
    await newUser({ email: 'grace@example.com' });
    await expect(newUser({ email: 'ＧＲＡＣＥ@EXAMPLE.com' })).rejects.toThrow(ConflictError);
    await expect(newUser({ email: 'gr\u0430ce@example.com' })).rejects.toThrow(UsageError);
    const other = await newUser();
    await expect(people.update(admin, other.name, { email: 'Grace@example.com' })).rejects.toThrow(ConflictError);
    const past = app.query("UPDATE users SET email = 'gr\u0430ce@example.com' WHERE id = $1", [other.id]);
    await expect(past).rejects.toThrow(/users_email_ascii/);
  });

  it('have names that are no ids, and are told what is wrong with others', async () => {
    for (const name of ['Ada', 'a b', '', '-a', 'x'.repeat(64), randomUUID(), 'deleted-1', 'a\u0000']) {
      await expect(people.create(admin, { name }), name).rejects.toThrow(UsageError);
    }
    const { name } = await newUser();
    await expect(people.create(admin, { name })).rejects.toThrow(/has that name/);
    await expect(people.create(admin, { name: 'fine', displayName: 'a\nb' })).rejects.toThrow(UsageError);
  });

  it('auth 55: are changed with an event that says what and by whom, and without one when nothing changes', async () => {
    const user = await newUser({ email: 'alan@example.com', roles: ['user'] });
    await people.update(admin, user.name, { displayName: 'Alan', email: null });
    await people.update(admin, user.name, { displayName: 'Alan' });
    const changed = await people.changeRoles(admin, user.id, { add: ['mcp', 'user'], remove: ['a2a'] });
    expect(changed.roles).toEqual(['user', 'mcp']);
    await people.changeRoles(admin, user.id, { add: ['mcp'], remove: [] });
    await people.changeRoles(admin, user.id, { add: [], remove: ['mcp'] });
    await people.ban(admin, user.id, 'left the company');
    await people.unban(admin, user.id);
    await people.unban(admin, user.id);
    const events = await eventsOf(user);
    expect(events.map(({ type, data }) => [type, data])).toEqual([
      ['user_changed', { change: 'created', name: user.name, kind: 'person', roles: ['user'] }],
      ['user_changed', { change: 'updated', fields: ['display_name', 'email'] }],
      ['role_changed', { added: ['mcp'], removed: [], roles: ['user', 'mcp'] }],
      ['role_changed', { added: [], removed: ['mcp'], roles: ['user'] }],
      ['user_changed', { change: 'suspended', reason: 'left the company' }],
      ['user_changed', { change: 'reinstated' }],
    ]);
    expect(events.every(({ actor_id }) => actor_id === admin.userId)).toBe(true);
    expect(JSON.stringify(events)).not.toContain('alan@');
  });

  it('are changed by admins alone; others see themselves', async () => {
    const user = await newUser({ email: 'own@example.com' });
    const other = await newUser();
    const actor = actorOf(user);
    expect((await people.show(actor, 'own@example.com')).id).toBe(user.id);
    for (const work of [
      () => people.list(actor, { limit: 1 }),
      () => people.show(actor, other.name),
      () => people.show(actor, 'nobody'),
      () => people.create(actor, { name: 'x' }),
      () => people.update(actor, user.name, { displayName: 'x' }),
      () => people.changeRoles(actor, user.name, { add: ['admin'], remove: [] }),
      () => people.ban(actor, other.name, 'x'),
      () => people.unban(actor, other.name),
      () => people.erase(actor, other.name),
      () => sessions.list(actor, other.id),
      () => sessions.end(actor, other.id, 'all'),
      () => sessions.list({ ...actor, permission: 'anonymous' }, user.id),
    ]) {
      await expect(work(), work.toString()).rejects.toThrow(ForbiddenError);
    }
  });

  it('who are banned lose every session at once, and get none back with their ban', async () => {
    const user = await newUser();
    const id = await signIn(user);
    const banned = await people.ban(admin, user.name, 'spam');
    expect(banned).toMatchObject({ status: 'suspended', statusReason: 'spam', accessVersion: 2 });
    expect(await sessions.list(admin, user.id)).toEqual([]);
    expect((await people.unban(admin, user.name)).statusReason).toBeUndefined();
    expect(await sessions.list(admin, user.id, { all: true })).toMatchObject([{ id, state: 'ended' }]);
  });

  it('the last active admin stays one, whatever is tried', async () => {
    for (const work of [
      () => people.changeRoles(admin, 'owner', { add: ['user'], remove: ['admin'] }),
      () => people.ban(admin, 'owner', 'x'),
      () => people.erase(admin, 'owner'),
    ]) {
      await expect(work(), work.toString()).rejects.toThrow(/last active admin/);
    }
    expect(await eventsOf({ id: admin.userId } as User)).toEqual([]);
    const second = await newUser({ roles: ['admin'] });
    const both = await Promise.allSettled([
      people.changeRoles(admin, 'owner', { add: [], remove: ['admin'] }),
      people.changeRoles(admin, second.id, { add: [], remove: ['admin'] }),
    ]);
    expect(both.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    await people.changeRoles(admin, 'owner', { add: ['admin'], remove: [] });
  });

  it('who are deleted leave an id behind, and no way in', async () => {
    const user = await newUser({ email: 'gone@example.com' });
    await new AccessGrants(app, [{ name: 'notes', oauth: { scopes: ['a:b'] }, tools: new Map() } as never]).grant(
      admin,
      { user: user.name, server: 'notes', scopes: ['a:b'] },
    );
    await app.query(
      "INSERT INTO passkeys (user_id, credential_id, public_key, counter, device_type, backed_up, aaguid, rp_id, name) VALUES ($1, '\\x01', '\\x02', 0, 'singleDevice', false, gen_random_uuid(), 'localhost', 'Her phone')",
      [user.id],
    );
    const session = await signIn(user);
    await app.query("UPDATE user_sessions SET user_agent = 'Her browser' WHERE id = $1", [session]);
    await app.query(
      "INSERT INTO personal_access_tokens (user_id, session_id, name, hash, audience, scopes, expires_at) VALUES ($1, $2, 'Her laptop', sha256('x'), 'a', '{user}', now() + interval '1 day')",
      [user.id, session],
    );
    const { user: erased } = await people.erase(admin, 'gone@example.com');
    expect(erased).toMatchObject({ id: user.id, status: 'deleted', roles: [], displayName: 'Deleted user' });
    expect(erased.email).toBeUndefined();
    for (const table of ['passkeys', 'personal_access_tokens', 'browser_sessions']) {
      expect(await app.query(`SELECT FROM ${table} WHERE user_id = $1`, [user.id]), table).toEqual([]);
    }
    expect(await sessions.list(admin, user.id, { all: true })).toMatchObject([{ state: 'ended' }]);
    expect(JSON.stringify(await sessions.list(admin, user.id, { all: true }))).not.toContain('Her browser');
    expect(await new AccessGrants(app, []).list(admin, { user: user.id })).toEqual([]);
    await expect(people.unban(admin, user.id)).rejects.toThrow(PreconditionError);
    await expect(people.changeRoles(admin, user.id, { add: ['admin'], remove: [] })).rejects.toThrow(PreconditionError);
    await expect(app.query("UPDATE users SET status = 'active' WHERE id = $1", [user.id])).rejects.toThrow(
      /stays deleted/,
    );
    // Name and address are free again, for somebody who has none of it.
    const next = await people.create(admin, { name: user.name, email: 'gone@example.com' });
    expect(next.id).not.toBe(user.id);
    expect((await people.list(admin, { limit: 500 })).users.map(({ id }) => id)).not.toContain(user.id);
  });

  it('are listed by name, narrowed and in pages', async () => {
    await people.create(admin, { name: 'zz-robot', kind: 'service' });
    await people.create(admin, { name: 'zz-%_\\', displayName: 'x' }).catch(() => undefined);
    const all = await people.list(admin, { limit: 3 });
    expect(all.users).toHaveLength(3);
    expect(all.count).toBeGreaterThan(3);
    const next = await people.list(admin, { limit: 3, after: all.users[2]?.name });
    expect(next.users[0]?.name.localeCompare(all.users[2]?.name ?? '')).toBe(1);
    const names = async (filter: object) =>
      (await people.list(admin, { limit: 100, ...filter })).users.map(({ name }) => name);
    expect(await names({ kind: 'service' })).toEqual(['zz-robot']);
    expect(await names({ role: 'service' })).toEqual(['zz-robot']);
    expect(await names({ search: 'ROBO' })).toEqual(['zz-robot']);
    expect(await names({ search: '%' })).toEqual([]);
    expect(await names({ status: 'deleted' })).toHaveLength(1);
  });
});

describe('sign-ins of users', () => {
  it('are ended one or all, by the user or an admin, with an event each', async () => {
    const user = await newUser();
    const ids = [await signIn(user, 'one'), await signIn(user, 'two'), await signIn(user, 'three')];
    const actor = actorOf(user);
    expect(await sessions.end(actor, user.id, ids[0] as SessionId)).toEqual([ids[0]]);
    expect(await sessions.end(actor, user.id, ids[0] as SessionId)).toEqual([]);
    expect((await sessions.end(admin, user.id, 'all')).sort()).toEqual(ids.slice(1).sort());
    await expect(sessions.end(admin, user.id, newId())).rejects.toThrow(NotFoundError);
    const foreign = await signIn(await newUser());
    await expect(sessions.end(actor, user.id, foreign)).rejects.toThrow(NotFoundError);
    const ended = (await eventsOf(user)).filter(({ type }) => type === 'session_revoked');
    expect(ended.map(({ client_id }) => client_id).sort()).toEqual(['one', 'three', 'two']);
  });
});
