import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, PortTakenError, PreconditionError } from '../../shared/errors.ts';
import type { SecretStore } from '../config/secrets.ts';
import type { ConnectionConfig } from '../database/connection-config.ts';
import { connectionFor } from '../database/connections.ts';
import { type DatabaseRole, superuser } from '../database/roles.ts';
import { withSession } from '../database/session.ts';
import { freePort, isPortFree } from './ports.ts';
import { locatePostgres } from './postgres-binaries.ts';
import { initCluster, systemIdentifierOf } from './postgres-cluster.ts';
import { clearStaleLock, clusterNameOf, findPostmaster, type RunningPostmaster } from './postgres-lock.ts';
import { type PostgresHome, type PostgresPlace, preparePlace } from './postgres-place.ts';
import { type PostgresState, readPostgresState, writePostgresState } from './postgres-state.ts';
import type { ProbeContext, ProbeResult, ServiceSpec } from './spec.ts';

/** The embedded PostgreSQL of one instance. */
export interface EmbeddedPostgres extends ServiceSpec {
  /** How to reach it; the port is known after `prepare`. */
  connection(role: DatabaseRole | 'superuser'): Promise<ConnectionConfig>;
  /** The postmaster that runs on this instance's data, whoever started it: for a supervisor that comes back. */
  running(): Promise<RunningPostmaster | undefined>;
}

/** Outside of the ranges from which systems give ports to outgoing connections (Linux: 32768-60999). */
const PORTS: readonly [number, number] = [15_432, 15_999];
const PROBE_TIMEOUT_MS = 3000;

/**
 * PostgreSQL from the npm package as a service to be supervised: the supervisor owns the process. `prepare` places the
 * binaries, makes the cluster at the first start and clears the way after a crash.
 * @throws PreconditionError when the binaries for this machine are not installed
 */
export async function embeddedPostgres(
  home: PostgresHome,
  secrets: Pick<SecretStore, 'get' | 'require' | 'set'>,
): Promise<EmbeddedPostgres> {
  const pkg = await locatePostgres();
  let state = await readPostgresState(home);
  let place: PostgresPlace | undefined;
  const spread = createHash('sha256').update(home.id).digest().readUInt16BE(0) % (PORTS[1] - PORTS[0] + 1);

  const connection = async (role: DatabaseRole | 'superuser'): Promise<ConnectionConfig> => {
    if (role !== 'superuser') return connectionFor(home, { database: {} }, secrets, role);
    const owner = await connectionFor(home, { database: {} }, secrets, 'owner');
    return { ...owner, database: 'postgres', user: superuser, password: await secrets.require('database.superuser') };
  };

  return {
    name: 'database',
    kind: 'database',
    dependsOn: [],
    get port() {
      return { preferred: state?.port ?? PORTS[0] + spread, range: PORTS };
    },
    artefactHash: pkg.digest,
    configHash: createHash('sha256')
      .update(argumentsOf('', '', 0).join('\0'))
      .digest('hex'),
    stop: { signal: 'SIGINT', graceMs: 20_000 }, // SIGINT: fast shutdown (manual, 18.5)
    readyTimeoutMs: 60_000, // recovery after a crash replays the log first

    async prepare(signal) {
      state = await readPostgresState(home);
      place = await preparePlace(home, pkg, state);
      const { account, binaries, dataDir, socketDir } = place;
      if (place.exists) {
        await clearStaleLock(dataDir, socketDir, signal);
      } else {
        await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 });
        const password = await secrets.require('database.superuser');
        await initCluster({ binaries, dataDir, superuser, password, account, signal });
      }
      state = {
        version: 1,
        dataDir,
        socketDir,
        port: state?.port ?? PORTS[0] + spread,
        ...(account === undefined ? {} : { account }),
        systemIdentifier: await systemIdentifierOf(dataDir),
      };
      await writePostgresState(home, state);
    },

    async command({ port }) {
      if (place === undefined || state === undefined) throw new PreconditionError('The database was not prepared.');
      state = { ...state, port: port ?? (await choosePort(state.port)) };
      await writePostgresState(home, state);
      const { account, binaries, dataDir, socketDir } = place;
      return {
        file: `${binaries}/bin/postgres`,
        args: argumentsOf(dataDir, socketDir, state.port),
        env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
        cwd: dataDir,
        ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      };
    },

    async probe(context) {
      state = (await readPostgresState(home)) ?? state;
      if (state === undefined) return { ready: false, reason: 'it was never started' };
      return probe(await connection('superuser'), state, context);
    },

    connection,

    async running() {
      const recorded = await readPostgresState(home);
      return recorded === undefined ? undefined : findPostmaster(recorded.dataDir);
    },
  };
}

/** The port of the last start; another when a stranger has it now. */
async function choosePort(preferred: number): Promise<number> {
  if (await isPortFree(preferred)) return preferred;
  const port = await freePort(PORTS);
  if (port !== undefined) return port;
  throw new PortTakenError(`No port from ${PORTS[0]} to ${PORTS[1]} is free for the database.`);
}

/** What must be so whatever postgresql.conf says. */
function argumentsOf(dataDir: string, socketDir: string, port: number): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    password_encryption: 'scram-sha-256',
    logging_collector: 'off',
    log_destination: 'stderr',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    cluster_name: clusterNameOf(dataDir),
  };
  return ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** Ready is what answers a query and is our cluster: another server may have our port, or a copy of our data. */
async function probe(config: ConnectionConfig, state: PostgresState, context: ProbeContext): Promise<ProbeResult> {
  const connectTimeoutMs = Math.min(PROBE_TIMEOUT_MS, context.timeoutMs);
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(connectTimeoutMs)]);
  try {
    // The signal alone ends no try that is under way: a server that is stopped still takes connections, by its kernel.
    const options = { applicationName: 'systemprompt probe', signal, connectTimeoutMs };
    const [row] = await withSession(config, options, (session) =>
      session.query<{ id: string; dir: string }>(
        "SELECT system_identifier::text AS id, current_setting('data_directory') AS dir FROM pg_control_system()",
      ),
    );
    if (row?.id !== state.systemIdentifier || realpathSync(row.dir) !== realpathSync(state.dataDir)) {
      return { ready: false, reason: 'another PostgreSQL answers there' };
    }
    if (state.account === undefined) return { ready: true };
    return {
      ready: true,
      detail: `PostgreSQL runs as user ${state.account.name}, since it refuses to run as root; its data is in ${dirname(state.dataDir)}`,
    };
  } catch (error) {
    if (error instanceof AppError || signal.aborted) {
      return { ready: false, reason: error instanceof AppError ? error.message : 'it did not answer in time' };
    }
    throw error;
  }
}
