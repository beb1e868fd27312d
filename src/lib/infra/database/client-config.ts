import pg from 'pg';
import type { UserId } from '../../shared/ids.ts';
import type { ConnectionConfig } from './connection-config.ts';

const INT8 = 20;

/** Counts and sizes come as numbers; one beyond 2^53 is an error rather than a wrong number. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`A bigint that no JavaScript number holds: select it as text.`);
  return value;
}

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary'
      ? parseInt8
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/**
 * For whom a connection works, which decides the rows that it sees of tables that belong to users (row-level security): one
 * user, or the system itself and whoever may see everybody's. Without a word it sees none.
 */
export type DatabaseActor = 'system' | UserId;

const actorForm = /^(?:system|[0-9a-f-]{36})$/;

/** The setting that names the actor, as it is asked by the policies. @throws RangeError for what is no actor */
export const actorSetting = 'systemprompt.actor';

export function actorValue(actor: DatabaseActor): string {
  if (!actorForm.test(actor)) throw new RangeError('A connection works for the system or for a user, by its id');
  return actor;
}

/** The driver's settings for every connection of ours: bigint as number, TLS as asked for, keep-alive on. */
export function clientConfig(
  config: ConnectionConfig,
  applicationName: string | undefined,
  connectTimeoutMs: number,
  actor?: DatabaseActor,
): pg.ClientConfig {
  const ssl = config.ssl === 'no-verify' ? { rejectUnauthorized: false } : config.ssl === true;
  return {
    host: config.host,
    port: config.port,
    database: config.database,
    user: config.user,
    password: config.password,
    ssl: config.host.startsWith('/') ? false : ssl,
    application_name: applicationName ?? 'systemprompt',
    connectionTimeoutMillis: connectTimeoutMs,
    ...(actor === undefined ? {} : { options: `-c ${actorSetting}=${actorValue(actor)}` }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
}
