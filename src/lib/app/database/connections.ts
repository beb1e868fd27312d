import type { ConnectionConfig } from '../../infra/database/connection-config.ts';
import {
  adminConnection,
  connectionFor,
  type Place,
  type Secrets,
  type Settings,
} from '../../infra/database/connections.ts';
import { reasonOf } from '../../infra/database/errors.ts';
import { mcpRole } from '../../infra/database/roles.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import { PreconditionError } from '../../shared/errors.ts';

/** The database that a command is about. */
export interface DatabasePlace {
  readonly instance: Place;
  readonly profile: Settings;
  readonly secrets: Secrets & { names(): Promise<string[]> };
}

/**
 * A session of the role that people's questions are asked in.
 * @throws PreconditionError when the database was made ready by a version that had no such role
 */
export async function asReader<T>(place: DatabasePlace, work: (session: Session) => Promise<T>): Promise<T> {
  const reader = await readerOf(place);
  return await withSession(reader, { applicationName: 'systemprompt cli' }, work).catch(missingReader);
}

export async function readerOf({ instance, profile, secrets }: DatabasePlace): Promise<ConnectionConfig> {
  return await connectionFor(instance, profile, secrets, 'reader');
}

/** What a sign-in of the reader that was refused means. */
export function missingReader(error: unknown): never {
  if (reasonOf(error) !== 'auth') throw error;
  throw new PreconditionError('The database has no read-only role yet: it was made ready by an earlier version.', {
    hint: 'Make it ready again; nothing else changes.',
    next: ['infra db migrate'],
    cause: error,
  });
}

/**
 * The connection of the role that owns a table, as far as the instance has its password: the owner's, or that of an MCP
 * server; otherwise the reader's.
 */
export async function connectionOf(place: DatabasePlace, role: string): Promise<ConnectionConfig> {
  const { instance, profile, secrets } = place;
  const owner = await connectionFor(instance, profile, secrets, 'owner');
  if (owner.user === role) return owner;
  for (const secret of await secrets.names()) {
    const server = /^database\.mcp\.(.+)$/.exec(secret)?.[1];
    if (server === undefined || mcpRole(owner.database, server) !== role) continue;
    return { ...owner, user: role, password: await secrets.require(secret) };
  }
  return await readerOf(place);
}

/** Who may act as every owner, in the instance's database. @throws DatabaseUnavailableError */
export async function adminOf({
  instance,
  profile,
  secrets,
}: DatabasePlace): Promise<{ readonly admin: ConnectionConfig; readonly database: string }> {
  const { admin, database } = await adminConnection(instance, profile, secrets);
  return { admin: { ...admin, database }, database };
}
