import type { Database, Queryable } from '../../../infra/database/connection.ts';
import { ConflictError, ForbiddenError, NotFoundError } from '../../../shared/errors.ts';
import { type ClientMetadata, type ClientStatus, type OauthClient, toClient } from './client.ts';
import {
  deleteClient,
  insertClient,
  insertSecret,
  listClients,
  liveSecrets,
  lockClient,
  type NewClient,
  revokeSecrets,
  updateClient,
} from './repository.ts';
import { hashSecret, newClientSecret } from './secrets.ts';

/** How many secrets of one client are good at a time. */
const liveSecretLimit = 2;

/** A secret that is good, without itself. */
export interface LiveSecret {
  readonly id: string;
  readonly createdAt: Date;
  readonly expiresAt?: Date;
}

/** What may be changed of a client. */
export interface ClientChange {
  readonly name?: string | undefined;
  readonly metadata?: ClientMetadata | undefined;
  readonly server?: string | null | undefined;
  readonly targets?: readonly string[] | undefined;
  readonly status?: ClientStatus | undefined;
}

/** Registering and changing clients by hand. Every process hears of a change at commit. */
export class ClientService {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(options: { readonly dynamic?: boolean; readonly limit?: number } = {}): Promise<OauthClient[]> {
    const rows = await listClients(this.#database, { dynamic: options.dynamic ?? false, limit: options.limit ?? 500 });
    return rows.map(toClient);
  }

  /** @throws NotFoundError */
  async show(id: string): Promise<OauthClient & { readonly secrets: readonly LiveSecret[] }> {
    return this.#database.transaction(async (tx) => {
      const client = await requireClient(tx, id);
      const secrets = await liveSecrets(tx, id);
      return {
        ...client,
        secrets: secrets.map(({ id: secret, created_at, expires_at }) => ({
          id: secret,
          createdAt: created_at,
          ...(expires_at === null ? {} : { expiresAt: expires_at }),
        })),
      };
    });
  }

  /**
   * Adds a client, in the transaction of whoever adds more with it.
   * @param withSecret gives it a secret, which is shown this one time
   * @throws ConflictError when the id is taken
   */
  async create(
    tx: Queryable,
    client: NewClient,
    withSecret: boolean,
  ): Promise<{ readonly client: OauthClient; readonly secret?: string }> {
    const row = await insertClient(tx, client);
    if (row === undefined) {
      throw new ConflictError(`There is a client ${client.id} already`, {
        next: [`admin clients show ${client.id}`],
        data: { client: client.id },
      });
    }
    if (!withSecret) return { client: toClient(row) };
    const secret = newClientSecret();
    await insertSecret(tx, client.id, hashSecret(secret));
    return { client: toClient(row), secret };
  }

  /** @throws NotFoundError; ForbiddenError for a client that is built in */
  async update(tx: Queryable, id: string, change: ClientChange): Promise<OauthClient> {
    const client = await requireOwn(tx, id);
    const row = await updateClient(tx, id, {
      name: change.name ?? client.name,
      metadata: change.metadata ?? client.metadata,
      server: change.server === undefined ? (client.server ?? null) : change.server,
      targets: change.targets ?? client.targets,
      status: change.status ?? client.status,
    });
    if (row === undefined) throw new Error('The client is not there after it was changed');
    return toClient(row);
  }

  /** Removes a client and ends everything that was issued to it. @throws NotFoundError; ForbiddenError for a built-in one */
  async delete(tx: Queryable, id: string): Promise<OauthClient> {
    const client = await requireOwn(tx, id);
    await deleteClient(tx, id);
    return client;
  }

  /**
   * A new secret. The one before stays good until the next rotation, so that the client can be changed without a gap;
   * with `revokeOld` it ends at once.
   * @throws NotFoundError; ConflictError when the client has no secret by its nature
   */
  async rotateSecret(
    tx: Queryable,
    id: string,
    options: { readonly revokeOld?: boolean } = {},
  ): Promise<{ readonly secret: string; readonly revoked: number }> {
    const client = await requireOwn(tx, id);
    const method = client.metadata['token_endpoint_auth_method'];
    if (method === 'none' || method === 'private_key_jwt') {
      throw new ConflictError(`The client ${id} has no secret: it signs in by ${method}`, { data: { client: id } });
    }
    const revoked = await revokeSecrets(tx, id, options.revokeOld === true ? 0 : liveSecretLimit - 1);
    const secret = newClientSecret();
    await insertSecret(tx, id, hashSecret(secret));
    return { secret, revoked };
  }
}

async function requireClient(tx: Queryable, id: string): Promise<OauthClient> {
  const row = await lockClient(tx, id);
  if (row !== undefined) return toClient(row);
  throw new NotFoundError(`There is no client ${id}`, { next: ['admin clients list'], data: { client: id } });
}

async function requireOwn(tx: Queryable, id: string): Promise<OauthClient> {
  const client = await requireClient(tx, id);
  if (client.kind !== 'builtin') return client;
  throw new ForbiddenError(`The client ${id} is built in and can't be changed`, { data: { client: id } });
}
