import { randomBytes } from 'node:crypto';
import type { TestProject } from 'vitest/node';
import { coreMigrationsRoot } from '../../src/lib/app/database-admin.ts';
import { coreExtensions } from '../../src/lib/app/extensions/core.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { migrate } from '../../src/lib/infra/database/migrate.ts';
import { provision } from '../../src/lib/infra/database/provision.ts';
import { embeddedDatabase, loginRole } from '../../src/lib/infra/database/roles.ts';
import { createTemplate } from './database.ts';
import { startThrowAwayCluster, type ThrowAwayCluster } from './throw-away-cluster.ts';

/** A stopped cluster as a first start leaves it: the instance's database provisioned and migrated, and no row of anybody. */
interface PreparedCluster {
  readonly dataDir: string;
  readonly superuserPassword: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser of the throw-away cluster. */
    postgres: ConnectionConfig;
    preparedCluster: PreparedCluster;
  }
}

interface Shared {
  users: number;
  readonly cluster: Promise<ThrowAwayCluster>;
}
/** Each level that wants a cluster loads this module anew; there is one cluster for the whole run all the same. */
const run = globalThis as { systempromptTestCluster?: Shared };

/** One cluster for all files of a run; each test makes databases of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  run.systempromptTestCluster ??= { users: 0, cluster: startCluster() };
  const shared = run.systempromptTestCluster;
  shared.users += 1;
  const cluster = await shared.cluster;
  project.provide('postgres', cluster.admin);
  project.provide('preparedCluster', {
    dataDir: cluster.prepared ?? '',
    superuserPassword: String(cluster.admin.password),
  });
  return async () => {
    shared.users -= 1;
    if (shared.users === 0) await cluster.stop();
  };
}

async function startCluster(): Promise<ThrowAwayCluster> {
  const cluster = await startThrowAwayCluster({ prepare: firstStart });
  await createTemplate(cluster.admin);
  return cluster;
}

/** What the first start of a system does to its cluster; the passwords of the roles are replaced by each that starts on a copy. */
async function firstStart(admin: ConnectionConfig): Promise<void> {
  const password = randomBytes(18).toString('base64url');
  const passwords = { owner: password, app: password, audit: password, sealer: password, reader: password };
  await provision(admin, { database: embeddedDatabase, passwords, closeServer: true });
  const owner = { ...admin, database: embeddedDatabase, user: loginRole(embeddedDatabase, 'owner'), password };
  await migrate(owner, coreExtensions, coreMigrationsRoot());
}
