import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import { hasCode } from './identity.ts';
import type { Account } from './postgres-account.ts';
import { embeddedMajor } from './postgres-binaries.ts';

/** Settings that a user may change in postgresql.conf; what must be so is on the command line. */
const initialSettings = {
  max_connections: '100',
  shared_buffers: '64MB',
  // DETAIL and CONTEXT lines quote values of rows.
  log_error_verbosity: 'terse',
  log_line_prefix: '%m [%p] ',
  timezone: 'UTC',
  log_timezone: 'UTC',
} as const;

const STDERR_BYTES = 4000;

/**
 * Refuses a data directory of another major version: its files can't be read by this one.
 * @returns whether there is a cluster
 * @throws PreconditionError naming both versions
 */
export async function checkVersion(dataDir: string): Promise<boolean> {
  let text: string;
  try {
    text = (await readFile(join(dataDir, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  if (text === embeddedMajor) return true;
  throw new PreconditionError(
    `The data in ${dataDir} belongs to PostgreSQL ${text}, this is PostgreSQL ${embeddedMajor}.`,
    {
      hint: `Start with the version of systemprompt that made it, or dump it there with pg_dump ${text}, move the folder away, start anew and load the dump.`,
      data: { found: text, expected: embeddedMajor, dataDir },
    },
  );
}

/**
 * Makes a cluster. It is made in a folder beside and moved into place when it is whole, so that a start that was killed
 * half-way leaves nothing that looks like a cluster.
 * @param password of the superuser; reaches initdb by a file of mode 0600 that is gone afterwards, never by its arguments
 */
export async function initCluster(request: {
  readonly binaries: string;
  readonly dataDir: string;
  readonly superuser: string;
  readonly password: string;
  readonly account: Account | undefined;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { binaries, dataDir, account } = request;
  const parent = dirname(dataDir);
  await removeDrafts(dataDir);
  const draft = join(parent, `${basename(dataDir)}.init-${randomUUID()}`);
  const passwordFile = `${draft}.pw`;
  try {
    await writeFile(passwordFile, request.password, { mode: 0o600, flag: 'wx' });
    await mkdir(draft, { mode: 0o700 });
    if (account !== undefined) {
      for (const path of [passwordFile, draft]) await chown(path, account.uid, account.gid);
    }
    const settings = Object.entries(initialSettings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    await runInitdb(join(binaries, 'bin', 'initdb'), account, parent, request.signal, [
      ...['--pgdata', draft, '--username', request.superuser, '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--data-checksums', '--no-instructions'],
      // The builtin provider sorts alike on every machine, whatever locales it has.
      ...['--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
      ...settings,
    ]);
    await rename(draft, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/** What starts left behind that were killed. Only one start at a time gets here. */
async function removeDrafts(dataDir: string): Promise<void> {
  const parent = dirname(dataDir);
  const prefix = `${basename(dataDir)}.init-`;
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
  }
}

function runInitdb(
  file: string,
  account: Account | undefined,
  cwd: string,
  signal: AbortSignal | undefined,
  args: readonly string[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      ...(signal === undefined ? {} : { signal }),
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-STDERR_BYTES);
    });
    child.once('error', (error) => reject(initFailure(error.message, error)));
    child.once('close', (code, ended) => {
      if (code === 0) resolve();
      else reject(initFailure(stderr.trim() || `initdb ended with ${ended ?? code}`));
    });
  });
}

function initFailure(what: string, cause?: unknown): PreconditionError {
  return new PreconditionError(`The database can't be created: ${what}`, {
    hint: 'Check free space and rights of the data folder; on Alpine (musl) set database.url in the profile to a server of your own.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * The number that a cluster got when it was made: the first eight bytes of global/pg_control (PostgreSQL's
 * src/include/catalog/pg_control.h), in the machine's byte order, which is little-endian wherever we run.
 */
export async function systemIdentifierOf(dataDir: string): Promise<string> {
  const handle = await open(join(dataDir, 'global', 'pg_control'), 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.readBigUInt64LE().toString();
  } finally {
    await handle.close();
  }
}
