import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { bootId, identify, linuxInfo, type ProcessIdentity, type ProcessInfo } from './identity.ts';
import { setNiceness, underFileLimit } from './limits.ts';
import type { Markers } from './marker.ts';
import type { ProcessCommand } from './spec.ts';

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnedProcess {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
}

/**
 * Starts a service as the leader of its own session and process group. Its output goes to an O_APPEND file, because a
 * pipe would die with the supervisor (and the service with the pipe). The environment is exactly what is given.
 * @throws the operating system's error when the program can't be executed (ENOENT, EACCES, EAGAIN, EMFILE);
 *   PreconditionError when a limit can't be set, and then nothing is left of the process
 */
export async function spawnService(
  command: ProcessCommand,
  markers: Markers,
  logFile: string,
): Promise<SpawnedProcess> {
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const boot = await bootId();
  const log = openSync(logFile, 'a', 0o600);
  try {
    const { file, args } = underFileLimit(command.file, command.args, command.openFiles);
    const child = spawn(file, [...args], {
      cwd: command.cwd,
      env: { ...command.env, ...markers, SYSTEMPROMPT_LOG_FILE: logFile },
      detached: true,
      stdio: ['ignore', log, log],
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
    });
    // Read at once: until the event loop turns, even a child that has already died is in the table with its start time.
    const info = child.pid === undefined ? undefined : settleOrKill(child, child.pid, command.nice);
    const exited = new Promise<ExitStatus>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    const pid = child.pid as number;
    const identity = info === undefined ? await identify(pid) : { bootId: boot, pid, startTicks: info.startTicks };
    // Nobody to be found under that number: it ended before the look. No process ever has an empty start time.
    return { identity: identity ?? { bootId: boot, pid, startTicks: '' }, exited };
  } finally {
    closeSync(log);
  }
}

/** What has to be done at once. @returns its line of the process table, on Linux */
function settleOrKill(child: ChildProcess, pid: number, nice: number | undefined): ProcessInfo | undefined {
  try {
    if (nice !== undefined) setNiceness(pid, nice);
    return process.platform === 'linux' ? linuxInfo(pid) : undefined;
  } catch (error) {
    // Nobody would have it in care. It has hardly begun, so there is nothing to wait for; an error of the spawn itself is not
    // ours to report now.
    child.once('error', () => {});
    child.kill('SIGKILL');
    throw error;
  }
}
