import { randomBytes } from 'node:crypto';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import type { Instance } from '../config/instance.ts';
import type { Profile } from '../config/profile.ts';
import { resolveSecretReference, type SecretStore } from '../config/secrets.ts';
import { readPostgresState } from '../process/postgres-state.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { parseConnectionUrl, toConnectionUrl } from './connection-url.ts';
import { provisionMcp } from './provision.ts';
import { type DatabaseRole, embeddedDatabase, loginRole, superuser } from './roles.ts';

export type { DatabaseRole } from './roles.ts';

/** What is needed to find an instance's database. */
export type Place = Pick<Instance, 'runDir'>;
export type Settings = Pick<Profile, 'database'>;
export type Secrets = Pick<SecretStore, 'get' | 'require' | 'set'>;

/** Whether the profile names a server of the user's own, so that none is started. */
export function usesOwnServer(profile: Settings): boolean {
  return profile.database.url !== undefined;
}

/**
 * Who may make roles: the superuser of the embedded server, or the role that `database.url` names.
 * @returns the connection to sign in with, and the name of the instance's database
 * @throws DatabaseUnavailableError when the embedded server was never started
 */
export async function adminConnection(
  instance: Place,
  profile: Settings,
  secrets: Secrets,
): Promise<{ admin: ConnectionConfig; database: string }> {
  const { url } = profile.database;
  if (url !== undefined) {
    const admin = parseConnectionUrl(await resolveSecretReference(url, secrets));
    return { admin, database: admin.database };
  }
  const place = await embeddedPlace(instance);
  const password = await secrets.require('database.superuser');
  return { admin: { ...place, database: 'postgres', user: superuser, password }, database: embeddedDatabase };
}

/**
 * How a process of ours reaches the database in one of its roles. Does not connect.
 * @throws DatabaseUnavailableError when the embedded server was never started
 */
export async function connectionFor(
  instance: Place,
  profile: Settings,
  secrets: Secrets,
  role: DatabaseRole,
): Promise<ConnectionConfig> {
  const password =
    role === 'reader' || role === 'sealer'
      ? await madeOnce(secrets, `database.${role}`)
      : await secrets.require(`database.${role}`);
  const { url } = profile.database;
  if (url !== undefined) {
    const own = parseConnectionUrl(await resolveSecretReference(url, secrets));
    return { ...own, user: loginRole(own.database, role), password };
  }
  return {
    ...(await embeddedPlace(instance)),
    database: embeddedDatabase,
    user: loginRole(embeddedDatabase, role),
    password,
  };
}

/**
 * The DATABASE_URL of one MCP server: a role of its own that owns the schema `mcp_<name>` and reaches nothing else. Made
 * when missing; its password is kept as the secret `database.mcp.<name>`.
 */
export async function mcpConnectionUrl(
  instance: Place,
  profile: Settings,
  secrets: Secrets,
  serverName: string,
): Promise<string> {
  const { admin, database } = await adminConnection(instance, profile, secrets);
  const password = await madeOnce(secrets, `database.mcp.${serverName}`);
  const { role } = await provisionMcp(admin, { database, server: serverName, password });
  const place = admin.host.startsWith('/') && !usesOwnServer(profile) ? { ...admin, host: '127.0.0.1' } : admin;
  return toConnectionUrl({ ...place, database, user: role, password });
}

/** A password that instances of earlier versions, or of before there was that server, don't have yet. */
async function madeOnce(secrets: Secrets, name: string): Promise<string> {
  const found = await secrets.get(name);
  if (found !== undefined) return found;
  await secrets.set(name, randomBytes(32).toString('base64url'));
  return await secrets.require(name); // of two at once the last one to write counts for both
}

async function embeddedPlace(instance: Place): Promise<{ host: string; port: number }> {
  const state = await readPostgresState(instance);
  if (state === undefined) {
    throw new DatabaseUnavailableError('The database of this instance was never started.', {
      next: ['infra services start'],
      data: { reason: 'refused' },
    });
  }
  return { host: state.socketDir ?? '127.0.0.1', port: state.port };
}
