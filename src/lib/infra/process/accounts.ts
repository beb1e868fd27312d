import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { NotFoundError } from '../../shared/errors.ts';
import type { Account } from './postgres-account.ts';
import { runTool } from './run-tool.ts';

const timeoutMs = 5_000;

/**
 * An account of the operating system, by name or number, also one that a directory service keeps.
 * @throws NotFoundError
 */
export async function accountOf(user: string | number): Promise<Account> {
  const [name, uid, gid] = await Promise.all([id('-un', user), id('-u', user), id('-g', user)]);
  if (name === undefined || uid === undefined || gid === undefined) {
    throw new NotFoundError(`There is no account ${user}.`, { next: ['infra services install --help'] });
  }
  return { name, uid: Number(uid), gid: Number(gid) };
}

async function id(what: '-un' | '-u' | '-g', user: string | number): Promise<string | undefined> {
  const { exitCode, stdout } = await runTool({
    file: 'id',
    args: [what, '--', String(user)],
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
    cwd: '/',
    timeoutMs,
    maxOutputBytes: 1_000,
  });
  return exitCode === 0 ? stdout.trim() : undefined;
}

/**
 * The first folder on the way to a file that the account can't pass, or the file itself when it can't read it, as far as
 * mode bits tell; further groups and access lists are not looked at.
 */
export function barrierFor(account: Account, path: string): string | undefined {
  if (account.uid === 0) return undefined;
  const way = [path];
  while (way[0] !== undefined && dirname(way[0]) !== way[0]) way.unshift(dirname(way[0]));
  return way.find((step) => !may(account, statSync(step), step === path ? 4 : 1));
}

function may({ uid, gid }: Account, stats: Stats, right: number): boolean {
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0;
  return ((stats.mode >> shift) & right) !== 0;
}
