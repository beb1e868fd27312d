import { join } from 'node:path';
import { adoptServer } from '../domain/governance/index.ts';
import type { Instance } from '../infra/config/instance.ts';
import { packageRoot } from '../infra/config/package-root.ts';
import type { Profile } from '../infra/config/profile.ts';
import type { SecretStore } from '../infra/config/secrets.ts';
import type { ConnectionConfig } from '../infra/database/connection-config.ts';
import { adminConnection, connectionFor, usesOwnServer } from '../infra/database/connections.ts';
import { type MigrationReport, type MigrationStatus, migrate, migrationStatus } from '../infra/database/migrate.ts';
import { provision } from '../infra/database/provision.ts';
import { withSession } from '../infra/database/session.ts';
import type { Extension } from '../shared/extension.ts';
import { coreExtensions } from './extensions/core.ts';

type Place = Pick<Instance, 'runDir'>;
type Settings = Pick<Profile, 'database'>;

export interface DatabaseStatus {
  /** As the server says it: `18.4`. */
  readonly serverVersion: string;
  /** Whether it is the server that comes with us, or the user's own. */
  readonly embedded: boolean;
  /** Host name, or the folder of the unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly sizeBytes: number;
  /** In dependency order, with what is applied and what is not. */
  readonly extensions: readonly ExtensionStatus[];
}

export interface ExtensionStatus {
  readonly id: string;
  readonly applied: MigrationStatus['applied'];
  readonly pending: readonly string[];
}

/** A server of the user's own may be just restarting; the embedded one is started before anybody asks. */
const OWN_SERVER_WAIT_MS = 10_000;

/** The folder of the core's migrations in the installed package. */
export function coreMigrationsRoot(): string {
  return join(packageRoot(), 'migrations');
}

function waitFor(profile: Settings): { waitMs: number } {
  return { waitMs: usesOwnServer(profile) ? OWN_SERVER_WAIT_MS : 0 };
}

/**
 * Makes the instance's database ready: roles, database and schemas, then all migrations. Changes nothing when all is
 * there, which takes a few milliseconds. The embedded server must be running.
 * @throws DatabaseUnavailableError with the reason, after at most ten seconds for a server of the user's own
 * @throws PreconditionError for a missing right, or an applied migration that was edited or is gone
 */
export async function migrateInstance(
  instance: Place,
  profile: Settings,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
  extensions: readonly Extension[] = coreExtensions,
): Promise<MigrationReport> {
  const owner = await provisionInstance(instance, profile, secrets);
  const report = await migrate(owner, extensions, coreMigrationsRoot());
  // Before anybody writes: what was restored from another server's backup counts its transactions anew.
  if (extensions.some(({ id }) => id === 'governance')) await adoptServer(owner);
  return report;
}

/**
 * Makes roles, database and schemas, and no table.
 * @returns the owner's connection
 * @throws as `migrateInstance` does
 */
export async function provisionInstance(
  instance: Place,
  profile: Settings,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
): Promise<ConnectionConfig> {
  const [{ admin, database }, owner, app, audit, sealer, reader] = await Promise.all([
    adminConnection(instance, profile, secrets),
    connectionFor(instance, profile, secrets, 'owner'),
    connectionFor(instance, profile, secrets, 'app'),
    connectionFor(instance, profile, secrets, 'audit'),
    connectionFor(instance, profile, secrets, 'sealer'),
    connectionFor(instance, profile, secrets, 'reader'),
  ]);
  const passwords = {
    owner: owner.password,
    app: app.password,
    audit: audit.password,
    sealer: sealer.password,
    reader: reader.password,
  };
  const closeServer = !usesOwnServer(profile);
  await provision(admin, { database, passwords, closeServer, ...waitFor(profile) });
  return owner;
}

/**
 * What the database is and which migrations it has; changes nothing.
 * @throws DatabaseUnavailableError, PreconditionError as `migrateInstance` does
 */
export async function databaseStatus(
  instance: Place,
  profile: Settings,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
  extensions: readonly Extension[] = coreExtensions,
): Promise<DatabaseStatus> {
  const owner = await connectionFor(instance, profile, secrets, 'owner');
  const options = { applicationName: 'systemprompt status', ...waitFor(profile) };
  const [server, migrations] = await Promise.all([
    withSession(owner, options, (session) =>
      session.query<{ version: string; size: number }>(
        "SELECT split_part(current_setting('server_version'), ' ', 1) AS version, pg_database_size(current_database()) AS size",
      ),
    ),
    migrationStatus(owner, extensions, coreMigrationsRoot(), waitFor(profile)),
  ]);
  return {
    serverVersion: server[0]?.version ?? 'unknown',
    embedded: !usesOwnServer(profile),
    host: owner.host,
    port: owner.port,
    database: owner.database,
    sizeBytes: server[0]?.size ?? 0,
    extensions: extensions
      .filter((extension) => extension.migrations !== undefined)
      .map(({ id }) => ({
        id,
        applied: migrations.applied.filter((migration) => migration.extension === id),
        pending: migrations.pending
          .filter((migration) => migration.extension === id)
          .map((migration) => migration.name),
      })),
  };
}

/**
 * How far this machine's clock is ahead of the database's, in ms, and by how much that may be wrong: half of the time that the
 * question took. Of several the quickest counts.
 * @throws DatabaseUnavailableError
 */
export async function databaseClock(
  instance: Place,
  profile: Settings,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
): Promise<{ readonly skewMs: number; readonly uncertaintyMs: number }> {
  const owner = await connectionFor(instance, profile, secrets, 'owner');
  return await withSession(owner, { applicationName: 'systemprompt clock', ...waitFor(profile) }, async (session) => {
    const answers: { skewMs: number; uncertaintyMs: number }[] = [];
    for (let round = 0; round < 3; round += 1) {
      const since = performance.now();
      const asked = Date.now();
      const [row] = await session.query<{ ms: string }>(
        'SELECT round(extract(epoch FROM clock_timestamp()) * 1000)::text AS ms',
      );
      const uncertaintyMs = (performance.now() - since) / 2;
      answers.push({ skewMs: asked + uncertaintyMs - Number(row?.ms), uncertaintyMs });
    }
    const [best] = answers.sort((a, b) => a.uncertaintyMs - b.uncertaintyMs);
    return best ?? { skewMs: 0, uncertaintyMs: 0 };
  });
}

/**
 * Who holds the newest epoch of the instance; `undefined` when nobody ever took one.
 * @throws DatabaseUnavailableError
 */
export async function newestEpoch(
  instance: Place & Pick<Instance, 'id'>,
  profile: Settings,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
): Promise<{ readonly epoch: number; readonly pid: number; readonly host: string } | undefined> {
  const owner = await connectionFor(instance, profile, secrets, 'owner');
  const rows = await withSession(owner, { applicationName: 'systemprompt status', ...waitFor(profile) }, (session) =>
    session.query<{ epoch: number; pid: number; host: string }>(
      'SELECT epoch::float8 AS epoch, holder_pid AS pid, host FROM supervisor_epoch WHERE installation_id = $1',
      [instance.id],
    ),
  );
  return rows[0];
}
