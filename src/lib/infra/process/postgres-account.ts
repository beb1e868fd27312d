import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PreconditionError } from '../../shared/errors.ts';
import { withFileLock } from '../config/file-lock.ts';
import { hasCode } from './identity.ts';

const run = promisify(execFile);

/** An account of the operating system. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** As whom PostgreSQL runs when we are root, which it refuses to be. */
const accountName = 'systemprompt';

/** Home of the account: everything of PostgreSQL's that root starts lies below. */
export const accountHome = process.env.SP_HOME ?? '/var/lib/systemprompt';

/**
 * The account of that name, made when there is none.
 * @throws PreconditionError when it can't be made
 */
export async function ensureAccount(name = accountName, home = accountHome): Promise<Account> {
  const existing = await findAccount(name);
  if (existing !== undefined) return existing;
  // Of two useradd at once the second replaces the first one's account by its own, with another number (seen).
  await mkdir(accountHome, { recursive: true, mode: 0o755 });
  return withFileLock(join(accountHome, 'account.lock'), async () => {
    let failure: unknown;
    if ((await findAccount(name)) === undefined) {
      await createAccount(name, home).catch((error: unknown) => {
        failure = error;
      });
    }
    const made = await findAccount(name);
    if (made !== undefined) return made;
    throw new PreconditionError(`PostgreSQL refuses to run as root, and the account ${name} for it can't be made.`, {
      hint: `Make it yourself (useradd --system ${name}), start as an ordinary user, or set database.url in the profile to a server of your own.`,
      cause: failure,
    });
  });
}

async function findAccount(name: string): Promise<Account | undefined> {
  const entry = (await passwdEntries()).find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  try {
    // Accounts that come from a directory service are not in the file.
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch (error) {
    if (error instanceof Error) return undefined; // id says that there is none, or there is no id
    throw error;
  }
}

async function passwdEntries(): Promise<Account[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name === undefined || uid === undefined || gid === undefined
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

/** useradd is what most Linux systems have; adduser with these flags is BusyBox's. */
async function createAccount(name: string, home: string): Promise<void> {
  const options = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    home,
    '--shell',
    '/usr/sbin/nologin',
    name,
  ];
  try {
    await run('useradd', options);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    await run('addgroup', ['-S', name]).catch(() => undefined); // it may be there; adduser says what is wrong else
    await run('adduser', ['-S', '-D', '-H', '-h', home, '-s', '/sbin/nologin', '-G', name, name]);
  }
}
