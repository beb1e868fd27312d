import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';
import { freePort } from '../../src/lib/infra/process/ports.ts';
import { ensureAccount } from '../../src/lib/infra/process/postgres-account.ts';
import { copyBinaries, locatePostgres, runsInPlace } from '../../src/lib/infra/process/postgres-binaries.ts';
import { initCluster } from '../../src/lib/infra/process/postgres-cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser of the throw-away cluster. */
    postgres: ConnectionConfig;
  }
}

const START_WAIT_MS = 20_000;

/** A cluster of its own for this run: without fsync, since nothing of it is to last, and gone afterwards. */
export async function startThrowAwayCluster(): Promise<{ admin: ConnectionConfig; stop(): Promise<void> }> {
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
    const port = await freePort([16_000 + Math.floor(Math.random() * 8000), 24_999]);
    if (port === undefined) throw new Error('no free port for the test cluster');
    const settings = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: folder,
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '200',
    };
    server = spawn(
      join(binaries, 'bin', 'postgres'),
      ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        cwd: dataDir,
        env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
        stdio: ['ignore', 'ignore', 'ignore'],
        ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      },
    );
    const admin: ConnectionConfig = { host: folder, port, database: 'postgres', user: 'postgres', password };
    await withSession(admin, { waitMs: START_WAIT_MS }, (session) => session.query('SELECT 1'));
    const running = server;
    return {
      admin,
      stop: async () => {
        await end(running);
        await remove();
      },
    };
  } catch (error) {
    if (server !== undefined) await end(server);
    await remove();
    throw error;
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGINT');
  await ended;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startThrowAwayCluster();
  project.provide('postgres', cluster.admin);
  return cluster.stop;
}
