import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { hasCode, isLiving, linuxInfo, type ProcessInfo } from './identity.ts';

const run = promisify(execFile);

/** Every living process that we may see, zombies left out. About 3 ms for 90 processes on Linux. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const all = process.platform === 'linux' ? linuxPids().map(linuxInfo) : await psList();
  return all.filter((info) => info !== undefined).filter(isLiving);
}

/** The pids in `/proc`. */
export function linuxPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

async function psList(): Promise<ProcessInfo[]> {
  const { stdout } = await run('ps', ['-axo', 'pid=,stat=,ppid=,pgid=,lstart='], {
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout.split('\n').flatMap((line) => {
    const found = /^\s*(\d+)\s+(\S)\S*\s+(\d+)\s+(\d+)\s+(.+?)\s*$/.exec(line);
    if (found === null) return [];
    const [, pid, state = '', parent, group, startTicks = ''] = found;
    return [{ pid: Number(pid), state, parent: Number(parent), group: Number(group), startTicks }];
  });
}

/**
 * The environment that a process was started with; `undefined` when it ended or is not ours to read. `empty`: the kernel
 * has none to show (proc_pid_environ(5)), which is so for a moment during execve(2) and at the end of a process, and
 * always for one that was started without any. Only Linux tells that apart.
 */
export async function environmentOf(pid: number): Promise<ReadonlyMap<string, string> | 'empty' | undefined> {
  if (process.platform !== 'linux') return psEnvironment(pid);
  const text = readProc(pid, 'environ');
  if (text === undefined) return undefined;
  if (text === '') return 'empty';
  return new Map(
    text
      .split('\0')
      .filter((entry) => entry.includes('='))
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
}

/** macOS prints the environment behind the arguments (`ps -E`); only words without spaces can be told apart, and ours have none. */
async function psEnvironment(pid: number): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const { stdout } = await run('ps', ['-Eww', '-o', 'command=', '-p', String(pid)]);
    const pairs = stdout.split(/\s+/).filter((word) => /^[A-Z_]+=/.test(word));
    return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}

/** The command line of a process as one string, at most 200 characters; `undefined` when it can't be read. */
export async function commandOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    try {
      const { stdout } = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
      return stdout.trim().slice(0, 200);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
      throw error;
    }
  }
  const words = readProc(pid, 'cmdline')?.split('\0').join(' ').trim();
  const text = words === undefined || words === '' ? readProc(pid, 'comm')?.trim() : words;
  return text?.slice(0, 200);
}

function readProc(pid: number, file: 'environ' | 'cmdline' | 'comm'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    // Gone meanwhile, or another user's.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

/** The ids of a process's threads; none when it has ended. */
export function linuxThreads(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return [];
    throw error;
  }
}
