import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { inject } from 'vitest';
import { coreExtensions } from '../../src/lib/app/extensions/core.ts';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { quoteIdentifier } from '../../src/lib/infra/database/identifiers.ts';
import { migrate } from '../../src/lib/infra/database/migrate.ts';
import { provision } from '../../src/lib/infra/database/provision.ts';
import { databaseRoles, loginRole } from '../../src/lib/infra/database/roles.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';

export interface TestDatabase {
  readonly name: string;
  readonly owner: ConnectionConfig;
  readonly app: ConnectionConfig;
  readonly audit: ConnectionConfig;
  readonly sealer: ConnectionConfig;
  readonly reader: ConnectionConfig;
  /** Superuser, in this database. */
  readonly admin: ConnectionConfig;
  /** Removes database and roles; ends connections that are still open. */
  drop(): Promise<void>;
}

/** The folder of the core's migrations. */
export const migrationsRoot = join(packageRoot(), 'migrations');

interface TestDatabaseWish {
  readonly migrated?: boolean;
  /** Made by the migrations themselves, where they are the subject; otherwise it is a copy of one that was. */
  readonly fresh?: boolean;
  readonly cluster?: ConnectionConfig;
  readonly name?: string;
}

/** A database of its own on the run's cluster (or another), provisioned, and migrated with the core's extensions unless told not to. */
export async function createTestDatabase(options: TestDatabaseWish = {}): Promise<TestDatabase> {
  const cluster = options.cluster ?? inject('postgres');
  const name = options.name ?? `t_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('base64url');
  const passwords = { owner: password, app: password, audit: password, sealer: password, reader: password };
  const copied = options.migrated !== false && options.fresh !== true && options.cluster === undefined;
  if (copied) await copyTemplate(cluster, name);
  await provision(cluster, { database: name, passwords });
  const as = (role: (typeof databaseRoles)[number]): ConnectionConfig => ({
    ...cluster,
    database: name,
    user: loginRole(name, role),
    password,
  });
  const owner = as('owner');
  if (copied) await handOver(cluster, name);
  else if (options.migrated !== false) await migrate(owner, coreExtensions, migrationsRoot);
  return {
    name,
    owner,
    app: as('app'),
    audit: as('audit'),
    sealer: as('sealer'),
    reader: as('reader'),
    admin: { ...cluster, database: name },
    drop: () => drop(cluster, name),
  };
}

/** Name of the database of the run's cluster that the others are copied from, provisioned and migrated. */
const templateDatabase = 't_template';

/** Makes the database that {@link createTestDatabase} copies, once a run. */
export async function createTemplate(cluster: ConnectionConfig): Promise<void> {
  await createTestDatabase({ cluster, name: templateDatabase });
  // Nobody may be in a database that is copied, and autovacuum would be.
  await withSession(cluster, {}, (session) =>
    session.query(`ALTER DATABASE ${quoteIdentifier(templateDatabase)} WITH ALLOW_CONNECTIONS false`),
  );
}

async function copyTemplate(cluster: ConnectionConfig, name: string): Promise<void> {
  await withSession(cluster, {}, (session) =>
    session.query(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE ${quoteIdentifier(templateDatabase)}`),
  );
}

/** What the owner of the template has in its copy becomes what the copy's own owner would have made by migrating. */
async function handOver(cluster: ConnectionConfig, name: string): Promise<void> {
  const [from, to] = [templateDatabase, name].map((database) => quoteIdentifier(loginRole(database, 'owner')));
  await withSession({ ...cluster, database: name }, {}, (session) =>
    session.query(`BEGIN;
      REASSIGN OWNED BY ${from} TO ${to};
      REVOKE ALL ON SCHEMA public FROM ${from};
      ALTER DEFAULT PRIVILEGES FOR ROLE ${from} GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
      ALTER DEFAULT PRIVILEGES FOR ROLE ${to} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
      UPDATE configuration_store SET id = DEFAULT; -- by which it is told from others
      COMMIT;`),
  );
}

async function drop(cluster: ConnectionConfig, name: string): Promise<void> {
  await withSession(cluster, {}, async (session) => {
    await session.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
    const roles = await session.query<{ role: string }>(
      'SELECT rolname AS role FROM pg_roles WHERE starts_with(rolname, $1) OR rolname = ANY ($2)',
      [`sp_${name}_`, databaseRoles.map((role) => loginRole(name, role))],
    );
    for (const { role } of roles) await session.query(`DROP ROLE ${quoteIdentifier(role)}`);
  });
}
