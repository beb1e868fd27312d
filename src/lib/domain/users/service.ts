import type { Queryable } from '../../infra/database/connection.ts';
import { NotFoundError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { handleOf } from './names.ts';
import { ensureUser, findUser, findUserByEmail, findUserByName, type User } from './repository.ts';

/** The name of whoever owns the machine's account under which the instance runs. */
const ownerName = 'owner';

/** The people and programs that may act in this instance. */
export class UserService {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** The local owner, added at the first call. A name that exists is taken as it is: a suspended owner stays so. */
  ensureOwner(): Promise<User> {
    return ensureUser(this.#database, { name: ownerName, displayName: 'Local owner', roles: ['admin'] });
  }

  /** @throws NotFoundError when nobody has that id */
  async get(id: UserId): Promise<User> {
    const user = await findUser(this.#database, id);
    if (user === undefined) throw new NotFoundError(`No user has the id ${id}`, { data: { user: id } });
    return user;
  }

  /**
   * The user of an id, a name or a mail address, whichever is given.
   * @throws NotFoundError
   */
  async find(text: string): Promise<User> {
    const handle = handleOf(text);
    const user =
      'id' in handle
        ? await findUser(this.#database, handle.id as UserId)
        : 'email' in handle
          ? await findUserByEmail(this.#database, handle.email)
          : await findUserByName(this.#database, handle.name);
    if (user !== undefined) return user;
    throw new NotFoundError(`There is no user ${text.slice(0, 100)}`, {
      hint: 'Give an id, a name or a mail address.',
      next: ['admin users list'],
      data: { user: text.slice(0, 300) },
    });
  }
}
