import {
  endMcpSessions,
  type ListedMcpSession,
  listMcpSessions,
  type McpSessionFilter,
} from '../../domain/mcp/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { NotFoundError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { isAdmin, requireOwn } from './rights.ts';
import { UserAdministration } from './users.ts';

const idForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The sessions that clients have with MCP servers: each user sees and ends their own, an admin everybody's. */
export class McpSessions {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Those that were used last first. @param filter `user` by name, mail address or id @throws ForbiddenError, NotFoundError */
  async list(
    actor: Actor,
    filter: Omit<McpSessionFilter, 'userId'> & { readonly user?: string | undefined },
  ): Promise<ListedMcpSession[]> {
    const { user, ...more } = filter;
    return listMcpSessions(this.#database, { ...more, userId: await this.#whose(actor, user) });
  }

  /**
   * Ends sessions; every API process hears of it, and the servers are told.
   * @returns those that were open
   * @throws NotFoundError when there is no such session; ForbiddenError
   */
  async end(
    actor: Actor,
    which: { readonly id?: string; readonly user?: string | undefined; readonly server?: string | undefined },
  ): Promise<ListedMcpSession[]> {
    const { id, user, server } = which;
    const userId = await this.#whose(actor, user);
    const valid = id === undefined || idForm.test(id);
    const ended = valid
      ? await endMcpSessions(this.#database, { ...(id === undefined ? {} : { id }), userId, server })
      : [];
    if (id !== undefined && ended.length === 0) {
      throw new NotFoundError(`There is no open session ${id.slice(0, 80)}`, { next: ['plugins mcp sessions list'] });
    }
    return ended;
  }

  /** Whose sessions are meant; undefined for everybody's, which only an admin may see. */
  async #whose(actor: Actor, user: string | undefined): Promise<UserId | undefined> {
    if (user !== undefined) {
      const { id } = await new UserAdministration(this.#database).show(actor, user);
      requireOwn(actor, id, 'What is known of the sessions of others');
      return id;
    }
    return isAdmin(actor) ? undefined : actor.userId;
  }
}
