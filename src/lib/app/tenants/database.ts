import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { databaseUrlSecret } from '../../infra/config/create-instance.ts';
import { openSecretStore } from '../../infra/config/secrets.ts';
import type { TenantDatabase, TenantRecord } from '../../infra/config/tenants-file.ts';
import type { ConnectionConfig } from '../../infra/database/connection-config.ts';
import { parseConnectionUrl } from '../../infra/database/connection-url.ts';
import { dropTenantDatabase, lookAtDatabase } from '../../infra/database/tenant-database.ts';
import { ConflictError, PartialError, UsageError } from '../../shared/errors.ts';
import { migrateInstance } from '../database-admin.ts';

/** A database for a new tenant on a server of the user's own. */
export interface PlannedDatabase {
  /** Id of the instance to be: the database's name has a part of it. */
  readonly instanceId: string;
  /** With the name of the database and the password. */
  readonly url: string;
  readonly admin: ConnectionConfig;
  readonly record: TenantDatabase;
}

/**
 * Decides on the database of a new tenant: the one that the URL names, or one of its own when it names none (or
 * `postgres`, which every server has). Signs in, changes nothing.
 * @throws UsageError for what is no such URL; ConflictError when another installation has the database;
 *   DatabaseUnavailableError
 */
export async function planDatabase(
  urlText: string,
  tenant: string,
  others: readonly TenantRecord[],
): Promise<PlannedDatabase> {
  if (!URL.canParse(urlText)) {
    throw new UsageError('The address of the database is no URL.', { hint: 'Write it as postgres://user@host:5432' });
  }
  const instanceId = randomUUID();
  const url = new URL(urlText);
  if (url.pathname === '' || url.pathname === '/' || url.pathname === '/postgres') {
    url.pathname = `/${derivedName(tenant, instanceId)}`;
  }
  const admin = parseConnectionUrl(url.href);
  const { host, port, database: name } = admin;
  const other = others.find(
    ({ database }) => database?.host === host && database.port === port && database.name === name,
  );
  if (other !== undefined) throw inUse(name, `The tenant \`${other.name}\` has`);
  const { exists, taken } = await lookAtDatabase(admin, name);
  if (taken) throw inUse(name, 'Another installation has');
  return { instanceId, url: url.href, admin, record: { host, port, name, created: !exists } };
}

/**
 * Makes the database with its roles, whose passwords are in the tenant's state, and its tables. What was made is taken back when
 * it fails.
 * @param dir where that state lies
 * @throws PreconditionError naming the right that is missing and the SQL that grants it; DatabaseUnavailableError
 */
export async function makeDatabase(planned: PlannedDatabase, dir: string): Promise<void> {
  const secrets = await openSecretStore({ dir });
  try {
    await migrateInstance({ runDir: join(dir, 'run') }, { database: { url: planned.url } }, secrets);
  } catch (error) {
    await takeBack(planned, error);
    throw error;
  }
}

/**
 * Drops what was made for a tenant that then did not come to be.
 * @param why the error for which it did not
 * @throws PartialError when that fails too
 */
export async function takeBack(
  { admin, record }: Pick<PlannedDatabase, 'admin' | 'record'>,
  why: unknown,
): Promise<void> {
  if (!record.created) return;
  try {
    await dropTenantDatabase(admin, record.name);
  } catch (cause) {
    const reason = why instanceof Error ? why.message : String(why);
    throw new PartialError(
      `The tenant was not made (${reason}), and its database ${record.name} could not be dropped.`,
      {
        hint: 'Drop it yourself.',
        data: { database: record.name },
        cause,
      },
    );
  }
}

/**
 * Drops the database of a tenant, if it was made for it.
 * @param dir the tenant's state, which has the address
 * @returns its name when it was dropped
 */
export async function dropOwnDatabase(dir: string, record: TenantDatabase | undefined): Promise<string | undefined> {
  if (record?.created !== true) return undefined;
  const url = await (await openSecretStore({ dir })).require(databaseUrlSecret);
  await dropTenantDatabase(parseConnectionUrl(url), record.name);
  return record.name;
}

/** No two tenants of a server come to the same name, of whatever project they are. */
function derivedName(tenant: string, instanceId: string): string {
  return `systemprompt_${tenant.replaceAll('-', '_').slice(0, 16)}_${instanceId.slice(0, 6)}`;
}

function inUse(name: string, who: string): ConflictError {
  return new ConflictError(`${who} the database ${name}, and two tenants must not share one.`, {
    hint: 'Name another database in the URL, or none: one is made for the tenant then.',
    data: { database: name },
    next: ['cloud tenant list'],
  });
}
