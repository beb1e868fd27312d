import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';
import { ensureAccount } from '../../src/lib/infra/process/postgres-account.ts';
import { copyBinaries, locatePostgres, runsInPlace } from '../../src/lib/infra/process/postgres-binaries.ts';
import { initCluster } from '../../src/lib/infra/process/postgres-cluster.ts';
import { freePort } from './free-port.ts';

const START_WAIT_MS = 20_000;

export interface ThrowAwayCluster {
  readonly admin: ConnectionConfig;
  /** Data directory of a stopped cluster with the same superuser, as `prepare` left it; absent without one. */
  readonly prepared?: string;
  /** Ends it as a crash would: the postmaster and all its processes, by SIGKILL. */
  crash(): Promise<void>;
  /** Starts it again after a crash, on the same data and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface ClusterWish {
  /** Commits last as in production; without it nothing waits for the disk. */
  readonly durable?: boolean;
  /** What a copy of the cluster beside it, made by the same initdb, is to hold. */
  prepare?(admin: ConnectionConfig): Promise<void>;
}

/** A cluster of its own for this run, gone afterwards. */
export async function startThrowAwayCluster({ durable = false, prepare }: ClusterWish = {}): Promise<ThrowAwayCluster> {
  const account = process.getuid?.() === 0 ? await ensureAccount() : undefined;
  const pkg = await locatePostgres();
  const folder = await mkdtemp(join(tmpdir(), 'sp-pg-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  let server: ChildProcess | undefined;
  try {
    if (account !== undefined) await chown(folder, account.uid, account.gid);
    const binaries =
      account === undefined && (await runsInPlace(pkg))
        ? pkg.native
        : await copyBinaries(pkg, account ? '/var/lib/systemprompt' : folder);
    const password = randomBytes(18).toString('base64url');
    const dataDir = join(folder, 'data');
    await initCluster({ binaries, dataDir, superuser: 'postgres', password, account });
    const port = await freePort();
    const settings = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: folder,
      ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
      max_connections: '200',
    };
    const admin: ConnectionConfig = { host: folder, port, database: 'postgres', user: 'postgres', password };
    const start = async (data = dataDir): Promise<ChildProcess> => {
      server = spawn(
        join(binaries, 'bin', 'postgres'),
        ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        {
          cwd: data,
          env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
          stdio: ['ignore', 'ignore', 'ignore'],
          ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
        },
      );
      await withSession(admin, { waitMs: START_WAIT_MS }, (session) => session.query('SELECT 1'));
      return server;
    };
    const prepared = join(folder, 'prepared');
    if (prepare !== undefined) {
      await copyCluster(dataDir, prepared);
      await start(prepared);
      await prepare(admin);
      await end(server);
    }
    let running = await start();
    return {
      admin,
      ...(prepare === undefined ? {} : { prepared }),
      crash: async () => {
        const ended = once(running, 'exit');
        // Each process of the cluster has a session of its own; they are the postmaster's children.
        const children = childrenOf(running.pid);
        running.kill('SIGKILL');
        for (const pid of children) kill(pid);
        await ended;
      },
      restart: async () => {
        running = await start();
      },
      stop: async () => {
        await end(running);
        await remove();
      },
    };
  } catch (error) {
    await end(server);
    await remove();
    throw error;
  }
}

/** Copies a stopped cluster with its owner and rights. */
export async function copyCluster(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-Rp', from, to]);
}

function childrenOf(pid: number | undefined): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text
    .split(' ')
    .filter((word) => word.trim() !== '')
    .map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function end(server: ChildProcess | undefined): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGINT');
  await ended;
}
