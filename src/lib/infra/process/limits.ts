import { accessSync, constants, readFileSync } from 'node:fs';
import { getPriority, constants as osConstants, setPriority } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import { hasCode } from './identity.ts';
import { linuxThreads } from './table.ts';

/** What the kernel holds a process to from its start on. */
export interface SpawnLimits {
  /** RLIMIT_NOFILE, soft and hard. */
  readonly openFiles?: number;
  /** -20 to 19. */
  readonly nice?: number;
}

/** A limit that would not be kept here. */
export interface LimitFinding {
  readonly key: 'open_files' | 'nice';
  readonly message: string;
  readonly hint: string;
}

/** Bits of the effective capability set (linux/capability.h). */
const capSysNice = 23n;
const capSysResource = 24n;
const systemFolders = ['/usr/bin', '/bin'];

/**
 * Which of the limits this machine would not let us set: better said before anything is started than found out later.
 * @param otherUser the process will run as another user, without our rights
 */
export function unenforceable(limits: SpawnLimits, otherUser = false): LimitFinding[] {
  const { openFiles, nice } = limits;
  return [
    ...(openFiles === undefined ? [] : findOpenFiles(openFiles, otherUser)),
    ...(nice === undefined ? [] : findNice(nice)),
  ];
}

function findOpenFiles(openFiles: number, otherUser: boolean): LimitFinding[] {
  const key = 'open_files';
  if (process.platform !== 'linux') {
    return [
      { key, message: 'open_files is kept on Linux only', hint: 'leave it out, and use `ulimit -n` before the start' },
    ];
  }
  if (prlimitProgram() === undefined) {
    return [
      {
        key,
        message: 'open_files needs the program prlimit, which is not there',
        hint: 'install util-linux, or leave open_files out',
      },
    ];
  }
  const hard = ownLimit('Max open files');
  if (openFiles <= hard || (!otherUser && hasCapability(capSysResource))) return [];
  return [
    {
      key,
      message: `open_files is more than the ${hard} that this user may have`,
      hint: `write at most ${hard}, or raise the limit (ulimit -Hn)`,
    },
  ];
}

function findNice(nice: number): LimitFinding[] {
  const own = getPriority();
  if (nice >= own || mayRaisePriority(nice)) return [];
  return [
    {
      key: 'nice',
      message: `nice ${nice} would put it before others, which this user has no right to`,
      hint: `write ${own} or more, or start the system with CAP_SYS_NICE`,
    },
  ];
}

function mayRaisePriority(nice: number): boolean {
  if (process.platform !== 'linux') return process.getuid?.() === 0;
  // getrlimit(2), RLIMIT_NICE: the ceiling is 20 minus the limit.
  return hasCapability(capSysNice) || 20 - ownLimit('Max nice priority') <= nice;
}

/** The soft limit that setting is checked against; the hard one of open files, which is what matters there. */
function ownLimit(name: 'Max open files' | 'Max nice priority'): number {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(name));
  const [soft, hard] = line?.slice(name.length).trim().split(/\s+/) ?? [];
  const text = name === 'Max open files' ? hard : soft;
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text ?? 0);
}

function hasCapability(bit: bigint): boolean {
  const found = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return found !== undefined && ((BigInt(`0x${found}`) >> bit) & 1n) === 1n;
}

function prlimitProgram(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute), ...systemFolders];
  return folders.map((folder) => join(folder, 'prlimit')).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not for us
  }
}

/**
 * The program and arguments that execute a command under its limit of open files: prlimit sets it and becomes the program.
 * @throws the operating system's error when the program can't be executed; PreconditionError without prlimit
 */
export function underFileLimit(
  file: string,
  args: readonly string[],
  openFiles: number | undefined,
): { readonly file: string; readonly args: readonly string[] } {
  if (openFiles === undefined) return { file, args };
  // prlimit would say so in the log, and end like a program that crashed.
  if (isAbsolute(file)) accessSync(file, constants.X_OK);
  const [finding] = prlimitProgram() === undefined ? findOpenFiles(openFiles, false) : [];
  if (finding !== undefined) throw new PreconditionError(finding.message, { hint: finding.hint });
  return { file: prlimitProgram() ?? '', args: [`--nofile=${openFiles}:${openFiles}`, '--', file, ...args] };
}

/**
 * Sets the niceness of a process that has just been started, before it has made threads of its own: on Linux niceness
 * belongs to a thread, and new ones have that of their maker (setpriority(2), "C library/kernel differences").
 * @throws PreconditionError when we have no right to it
 */
export function setNiceness(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
    for (const thread of process.platform === 'linux' ? linuxThreads(pid) : []) setPriority(thread, nice);
  } catch (error) {
    if (isErrno(error, osConstants.errno.ESRCH)) return; // it has ended already
    throw new PreconditionError(`There is no right to set nice ${nice}.`, {
      hint: 'Write a higher number, or start the system with CAP_SYS_NICE.',
      cause: error,
    });
  }
}

/** os.setPriority throws a SystemError, whose number is in `errno`. */
function isErrno(error: unknown, number: number): boolean {
  if (hasCode(error, 'ESRCH')) return number === osConstants.errno.ESRCH;
  return error instanceof Error && 'errno' in error && Math.abs(Number(error.errno)) === number;
}
