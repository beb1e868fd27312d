import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { hasCode } from './identity.ts';
import { linuxPids } from './table.ts';

const run = promisify(execFile);

/** What one process takes up. */
export interface ProcessUse {
  readonly pid: number;
  readonly group: number;
  readonly startTicks: string;
  readonly rssBytes: number;
  /** User and system time since its start, in seconds. */
  readonly cpuSeconds: number;
}

/** USER_HZ: the unit in which Linux tells times to programs, whatever the kernel's own (time(7)). */
const ticksPerSecond = 100;

/** Every process that takes up memory; kernel threads and zombies don't. About 10 µs each on Linux. */
export async function listUse(): Promise<ProcessUse[]> {
  if (process.platform !== 'linux') return psUse();
  return linuxPids().flatMap((pid) => {
    const text = read(`/proc/${pid}/stat`);
    const use = text === undefined ? undefined : parseUse(pid, text);
    return use === undefined || use.rssBytes === 0 ? [] : [use];
  });
}

/** proc_pid_stat(5): pgrp is field 5, utime 14, stime 15, starttime 22, rss 24, counted in pages. */
function parseUse(pid: number, text: string): ProcessUse | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (field: number): number => Number(fields[field - 3]);
  const startTicks = fields[22 - 3];
  if (startTicks === undefined) return undefined;
  return {
    pid,
    group: at(5),
    startTicks,
    rssBytes: at(24) * pageSize(),
    cpuSeconds: (at(14) + at(15)) / ticksPerSecond,
  };
}

/**
 * What a process has for itself alone. Of a family that shares memory (PostgreSQL's), only one member's share counts.
 * @returns `undefined` where it is not known
 */
export function privateBytes(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  // proc_pid_statm(5): size, resident, shared, …
  const [, resident, shared] = read(`/proc/${pid}/statm`)?.split(' ').map(Number) ?? [];
  return resident === undefined || shared === undefined ? undefined : (resident - shared) * pageSize();
}

/** How many descriptors a process has open; `undefined` where we may not look. */
export function openFilesOf(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

let knownPageSize: number | undefined;

/** From the auxiliary vector (getauxval(3), AT_PAGESZ is 6): pairs of words. */
function pageSize(): number {
  if (knownPageSize !== undefined) return knownPageSize;
  const words = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= words.length; at += 16) {
    if (words.readBigUInt64LE(at) === 6n) knownPageSize = Number(words.readBigUInt64LE(at + 8));
  }
  knownPageSize ??= 4096;
  return knownPageSize;
}

async function psUse(): Promise<ProcessUse[]> {
  const { stdout } = await run('ps', ['-axo', 'pid=,pgid=,rss=,time=,lstart='], {
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout.split('\n').flatMap((line) => {
    const found = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+([\d:.-]+)\s+(.+?)\s*$/.exec(line);
    if (found === null) return [];
    const [, pid, group, kilobytes, time = '', startTicks = ''] = found;
    const cpuSeconds = time.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0);
    return [{ pid: Number(pid), group: Number(group), startTicks, rssBytes: Number(kilobytes) * 1024, cpuSeconds }];
  });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // Gone meanwhile, or another user's.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}
