import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, linuxInfo } from './identity.ts';
import { killLeftovers, runMarker } from './leftovers.ts';
import type { ExitStatus } from './spawn.ts';

/** A program to run for a while. There is no shell: `file` is executed with `args` as they are. */
export interface ProgramCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the program. With the markers of its service in it the supervisor finds it again, too. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** A running program that is talked to over its standard streams, the leader of its own session and process group. */
export interface ChildProgram {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** When the program itself has ended, and both outputs have been read or a moment has passed; never rejects. */
  readonly ended: Promise<ExitStatus>;
  /**
   * Closes standard input and sends SIGTERM to the group, SIGKILL after the grace, and ends whatever is left of it. Also
   * to be called for a program that has ended by itself: it may have left others behind.
   * @param graceMs from SIGTERM to SIGKILL
   */
  stop(graceMs: number): Promise<void>;
}

/** How long outputs may stay open after the end of the program, in ms: somebody that it has left may still hold them. */
const outputMs = 250;
const pollMs = 20;

/** @throws the operating system's error when the program can't be executed (ENOENT, EACCES, EAGAIN, EMFILE) */
export async function startProgram(command: ProgramCommand): Promise<ChildProgram> {
  const marker = randomUUID();
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env, [runMarker]: marker },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const since = child.pid === undefined || process.platform !== 'linux' ? undefined : linuxInfo(child.pid)?.startTicks;
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  // A kill that fails is reported here, too; who is still there is found afterwards.
  child.on('error', () => undefined);
  // EPIPE: it no longer reads. That shows in what it does not answer, or by its end.
  child.stdin.on('error', () => undefined);
  let stopping: Promise<void> | undefined;
  return {
    pid: child.pid as number,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: exited.then(async (status) => {
      await Promise.race([closed, delay(outputMs, undefined, { ref: false })]);
      return status;
    }),
    stop(graceMs) {
      stopping ??= end({ child, exited, marker, since }, graceMs);
      return stopping;
    },
  };
}

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<ExitStatus>;
  readonly marker: string;
  readonly since: string | undefined;
}

async function end({ child, exited, marker, since }: Running, graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs;
  child.stdin?.end();
  signalGroup(child, 'SIGTERM');
  signalGroup(child, 'SIGCONT');
  const grace = new AbortController();
  const late = delay(graceMs, undefined, { signal: grace.signal }).catch(() => undefined);
  await Promise.race([exited, late]);
  grace.abort();
  // A starter like npx ends before the program that it has started.
  while (performance.now() < deadline && isGroup(child.pid as number)) await delay(pollMs);
  signalGroup(child, 'SIGKILL');
  await exited;
  await killLeftovers(child.pid as number, marker, since);
  for (const stream of child.stdio) stream?.destroy();
}

/** Only while the leader is our unreaped child: until then the kernel can't give its number to anybody else. */
export function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, name);
  } catch (error) {
    if (!hasCode(error, 'ESRCH', 'EPERM')) throw error;
  }
}

/** Whether a group has members (kill(2) with signal 0). */
function isGroup(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}
