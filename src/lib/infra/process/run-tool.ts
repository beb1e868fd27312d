import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from '../../shared/errors.ts';
import { BoundedOutput } from './bounded-output.ts';
import { signalGroup } from './child-program.ts';
import { linuxInfo } from './identity.ts';
import { killLeftovers, runMarker } from './leftovers.ts';

/** A program to run to its end. There is no shell: `file` is executed with `args` as they are. */
export interface ToolCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** What it reads from standard input; nothing by default. */
  readonly input?: string | Uint8Array;
  /** What it reads from descriptor 3, 4, …: secrets go here, since arguments and environment can be read by others. */
  readonly extraFds?: readonly (string | Uint8Array)[];
  /** In ms; the group is ended then. */
  readonly timeoutMs: number;
  /** Bytes of standard output to keep. */
  readonly maxOutputBytes: number;
  /** Bytes of standard error to keep, 64 KiB by default. */
  readonly maxErrorBytes?: number;
  /** From SIGTERM to SIGKILL, in ms; 2,000 by default. */
  readonly graceMs?: number;
  /** Ends the group when it aborts. */
  readonly signal?: AbortSignal;
}

export interface ToolRun {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The head of the output, at most `maxOutputBytes`. */
  readonly stdout: string;
  readonly stderr: string;
  /** Whether there was more on standard output than was kept. */
  readonly truncated: boolean;
  /** How many bytes came on standard output in all. */
  readonly outputBytes: number;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
}

const defaultGraceMs = 2_000;
const defaultErrorBytes = 64 * 1024;
/** How long the pipes may stay open after the end of everything that we know to hold them, in ms. */
const pipeWaitMs = 1_000;

/**
 * Runs a program as leader of its own process group and waits for its end. On cancellation and timeout the group gets
 * SIGTERM, then SIGKILL; whatever it left behind is killed in every case. Resolves however the program ended.
 * @throws CancelledError when the signal was aborted before the start; the operating system's error when it can't start
 */
export async function runTool(command: ToolCommand): Promise<ToolRun> {
  if (command.signal?.aborted === true) throw new CancelledError('Cancelled before it started');
  const marker = randomUUID();
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env, [runMarker]: marker },
    detached: true,
    stdio: [
      command.input === undefined ? 'ignore' : 'pipe',
      'pipe',
      'pipe',
      ...(command.extraFds ?? []).map(() => 'pipe' as const),
    ],
  });
  const since = child.pid === undefined || process.platform !== 'linux' ? undefined : linuxInfo(child.pid)?.startTicks;
  const ended = watchEnd(child);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const stdout = new BoundedOutput(child.stdout as Readable, command.maxOutputBytes);
  const stderr = new BoundedOutput(child.stderr as Readable, command.maxErrorBytes ?? defaultErrorBytes);
  feed(child.stdin, command.input);
  for (const [index, bytes] of (command.extraFds ?? []).entries()) feed(child.stdio[index + 3] as Writable, bytes);

  const reason = await endOf(child, ended, command);
  await killLeftovers(child.pid as number, marker, since);
  await Promise.race([ended.closed, delay(pipeWaitMs, undefined, { ref: false })]);
  for (const stream of child.stdio) stream?.destroy();
  return {
    exitCode: child.exitCode,
    signal: child.signalCode,
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.truncated,
    outputBytes: stdout.total,
    timedOut: reason === 'timeout',
    cancelled: reason === 'cancelled',
  };
}

interface End {
  readonly exited: Promise<void>;
  readonly closed: Promise<void>;
}

/** Listens from the first moment on: an early exit is not missed. */
function watchEnd(child: ChildProcess): End {
  const event = (name: 'exit' | 'close'): Promise<void> =>
    new Promise((resolve) => {
      child.once(name, () => resolve());
    });
  return { exited: event('exit'), closed: event('close') };
}

function feed(stream: Writable | null, bytes: string | Uint8Array | undefined): void {
  if (stream === null || bytes === undefined) return;
  // EPIPE: it ended, or closed the descriptor, without reading; that is its own affair.
  stream.on('error', () => {});
  stream.end(bytes);
}

/** Waits until the leader has ended, by itself or because it had to, and says why. */
async function endOf(child: ChildProcess, ended: End, command: ToolCommand): Promise<'exit' | 'timeout' | 'cancelled'> {
  const finished = new AbortController();
  const { signal } = command;
  const cancelled = new Promise<'cancelled'>((resolve) => {
    if (signal?.aborted === true) resolve('cancelled');
    signal?.addEventListener('abort', () => resolve('cancelled'), { once: true, signal: finished.signal });
  });
  const timeout = delay(command.timeoutMs, 'timeout' as const, { signal: finished.signal }).catch(
    () => 'exit' as const,
  );
  try {
    const reason = await Promise.race([ended.exited.then(() => 'exit' as const), cancelled, timeout]);
    if (reason === 'exit') return reason;
    signalGroup(child, 'SIGTERM');
    signalGroup(child, 'SIGCONT');
    const grace = delay(command.graceMs ?? defaultGraceMs, undefined, { signal: finished.signal }).catch(
      () => undefined,
    );
    await Promise.race([ended.exited, grace]);
    signalGroup(child, 'SIGKILL');
    await ended.exited;
    return reason;
  } finally {
    finished.abort();
  }
}
