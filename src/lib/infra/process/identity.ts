import { execFile } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * What names a process. A pid is recycled, so it counts only together with the boot it belongs to and the moment the
 * process began; `bootId` holds the pid namespace too, because a container's pid 8 is not the host's.
 */
export interface ProcessIdentity {
  readonly bootId: string;
  readonly pid: number;
  /** Linux: clock ticks since boot. macOS: the start time as `ps` prints it, to the second. */
  readonly startTicks: string;
}

/** One line of the process table. */
export interface ProcessInfo {
  readonly pid: number;
  /** State letter; Z (zombie) and X (dead) are not alive. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly startTicks: string;
}

/**
 * Parses `/proc/<pid>/stat`. The command name may hold spaces and parentheses, so the fields count from after the
 * last `)` (proc_pid_stat(5): state is field 3, ppid 4, pgrp 5, starttime 22).
 */
export function parseStat(text: string): ProcessInfo | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text
    .slice(close + 1)
    .trim()
    .split(/\s+/);
  const [state, parent, group] = fields;
  const startTicks = fields[19];
  if (state === undefined || parent === undefined || group === undefined || startTicks === undefined) return undefined;
  return { pid: Number(text.slice(0, open)), state, parent: Number(parent), group: Number(group), startTicks };
}

/** The line of the process table for one pid; `undefined` when there is none. */
export async function processInfo(pid: number): Promise<ProcessInfo | undefined> {
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  return process.platform === 'linux' ? linuxInfo(pid) : psInfo(pid);
}

/** {@link processInfo} at once, on Linux only: a child that has just ended is still in the table. */
export function linuxInfo(pid: number): ProcessInfo | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

const psColumns = ['-o', 'stat=,ppid=,pgid=,lstart=', '-p'];

async function psInfo(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const { stdout } = await run('ps', [...psColumns, String(pid)], { env: { ...process.env, LC_ALL: 'C' } });
    const found = /^\s*(\S)\S*\s+(\d+)\s+(\d+)\s+(.+?)\s*$/.exec(stdout);
    if (found === null) return undefined;
    const [, state = '', parent = '', group = '', startTicks = ''] = found;
    return { pid, state, parent: Number(parent), group: Number(group), startTicks };
  } catch (error) {
    // ps exits 1 when no process has that pid.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}

let knownBootId: Promise<string> | undefined;

/** The id of this boot of the kernel, with the pid namespace we are in. */
export function bootId(): Promise<string> {
  knownBootId ??= readBootId();
  return knownBootId;
}

async function readBootId(): Promise<string> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('sysctl', ['-n', 'kern.bootsessionuuid']);
    return stdout.trim();
  }
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
}

/** The identity of whoever has this pid now; `undefined` when nobody alive has it. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const info = await processInfo(pid);
  if (info === undefined || !isLiving(info)) return undefined;
  return { bootId: await bootId(), pid, startTicks: info.startTicks };
}

/** Whether that very process lives: not another with its number, not a zombie, not one of an earlier boot. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await bootId())) return false;
  const info = await processInfo(identity.pid);
  return info !== undefined && isLiving(info) && info.startTicks === identity.startTicks;
}

/** Zombies answer `kill(pid, 0)`, but nothing of them runs. */
export function isLiving(info: ProcessInfo): boolean {
  return info.state !== 'Z' && info.state !== 'X' && info.state !== 'x';
}

/** Whether an error of the operating system has one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
