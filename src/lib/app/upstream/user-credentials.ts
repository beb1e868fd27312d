import { recordIdentityEvent } from '../../domain/auth/index.ts';
import {
  deleteCredentials,
  endMcpSessions,
  keptCredentials,
  type McpServerConfig,
  writeCredential,
} from '../../domain/mcp/index.ts';
import { type Database, withActor } from '../../infra/database/connection.ts';
import { NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { unknownServer } from '../identity.ts';
import { needsOf, refusedCredential, type UpstreamNeeds } from './needs.ts';
import { type Sealer, sealCredential } from './sealing.ts';

/** Who brings or takes back something for a server, and from where. */
export interface Bringer {
  readonly userId: UserId;
  readonly sessionId?: SessionId | undefined;
  readonly address?: string | undefined;
}

/** A server that users bring something for, as one of them sees it. */
export interface ConnectableServer {
  readonly server: string;
  readonly displayName: string;
  /** Where what is brought goes; undefined for a process of this instance. */
  readonly place: string | undefined;
  readonly wanted: readonly { readonly name: string; readonly since?: Date }[];
  /** Whether everything is there. */
  readonly connected: boolean;
}

/** What users bring for servers: given, replaced, taken back. Values go in and are never told again. */
export class UserCredentials {
  readonly #database: Pick<Database, 'transaction'>;
  readonly #sealer: Sealer;
  readonly #servers: readonly McpServerConfig[];

  constructor(deps: {
    readonly database: Pick<Database, 'transaction'>;
    readonly sealer: Sealer;
    readonly servers: readonly McpServerConfig[];
  }) {
    this.#database = deps.database;
    this.#sealer = deps.sealer;
    this.#servers = deps.servers;
  }

  /** Every server that users bring something for. */
  async list(userId: UserId): Promise<ConnectableServer[]> {
    const wanting = this.#servers.flatMap((config) => {
      const needs = needsOf(config);
      return needs === undefined || needs.brought.length === 0 ? [] : [{ config, needs }];
    });
    if (wanting.length === 0) return [];
    const kept = await withActor(this.#database, userId, (tx) => keptCredentials(tx, userId));
    return wanting.map(({ config, needs }) => {
      const wanted = needs.brought.map((name) => {
        const found = kept.find((one) => one.server === config.name && one.name === name);
        return { name, ...(found === undefined ? {} : { since: found.updatedAt }) };
      });
      return {
        server: config.name,
        displayName: config.displayName,
        place: needs.place === '' ? undefined : needs.place,
        wanted,
        connected: wanted.every(({ since }) => since !== undefined),
      };
    });
  }

  /**
   * What a server wants of each user.
   * @throws NotFoundError when there is no such server, PreconditionError when it wants nothing of users
   */
  needs(server: string): UpstreamNeeds {
    const config = this.#servers.find(({ name }) => name === server);
    if (config === undefined) throw unknownServer(server);
    const needs = needsOf(config);
    if (needs === undefined || needs.brought.length === 0) {
      throw new PreconditionError(`The server ${server} wants nothing of its users`, {
        next: [`plugins mcp show ${server}`],
      });
    }
    return needs;
  }

  /**
   * Keeps what a user brings, in the place of what was there; what is not named stays. Sessions that were begun with what
   * was there end: a server may remember it for as long as they last.
   * @throws NotFoundError, PreconditionError, UsageError; values are not quoted
   */
  async bring(by: Bringer, server: string, values: ReadonlyMap<string, string>): Promise<void> {
    const needs = this.needs(server);
    for (const [name, value] of values) {
      if (!needs.brought.includes(name)) {
        throw new UsageError(`The server ${server} takes no ${name}`, {
          hint: `It takes ${needs.brought.join(', ')}.`,
        });
      }
      const reason = refusedCredential(needs, value);
      if (reason !== undefined) throw new UsageError(`The value of ${name} ${reason}`);
    }
    const { userId, sessionId, address } = by;
    const sealed = await Promise.all(
      [...values].map(async ([name, value]) => {
        const row = { userId, server, name };
        return { ...row, sealed: await sealCredential(this.#sealer, { ...row, place: needs.place }, value) };
      }),
    );
    await withActor(this.#database, userId, async (tx) => {
      for (const row of sealed) await writeCredential(tx, row);
      await endMcpSessions(tx, { userId, server });
      const data = { names: [...values.keys()] };
      await recordIdentityEvent(tx, { type: 'server_connected', userId, sessionId, address, resource: server, data });
    });
  }

  /**
   * Erases all that a user brought for a server, also for one that is no longer configured.
   * @throws NotFoundError when there is nothing
   */
  async takeBack({ userId, sessionId, address }: Bringer, server: string): Promise<string[]> {
    return await withActor(this.#database, userId, async (tx) => {
      const names = await deleteCredentials(tx, userId, server);
      if (names.length === 0) throw new NotFoundError(`You have brought nothing for ${server.slice(0, 80)}`);
      await endMcpSessions(tx, { userId, server });
      const data = { names };
      await recordIdentityEvent(tx, {
        type: 'server_disconnected',
        userId,
        sessionId,
        address,
        resource: server,
        data,
      });
      return names;
    });
  }
}
