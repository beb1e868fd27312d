import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { getCompileCacheDir } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError, PreconditionError, SupervisorUnavailableError, TimeoutError } from '../../shared/errors.ts';
import { errorFromWire, isWireError } from '../../shared/wire.ts';
import type { Instance } from '../config/instance.ts';
import { packageRoot } from '../config/package-root.ts';
import { hasCode } from './identity.ts';
import { tailLines } from './log-tail.ts';
import { supervisorLogFile } from './logs.ts';
import { markerNames } from './marker.ts';

const waitMs = 20_000;
const pollMs = 20;
const answerMs = 2_000;
/**
 * For a process that mostly waits: a small nursery, no optimising compilers (8 MB of code that would be paged in for
 * nothing), and the means to give back what the boot needed, which V8 keeps until there is pressure. Measured after a
 * start on Node 24: 99 MB resident without, 77 MB with.
 */
export const supervisorNodeFlags = [
  '--max-semi-space-size=2',
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--expose-gc',
];

/** What a supervisor leaves under `run/` for those who come after it. */
export interface SupervisorFile {
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  readonly state: 'booting' | 'running' | 'failed' | 'stopped';
  readonly error?: unknown;
}

/** Where {@link SupervisorFile} is kept. */
export function supervisorFile(instance: Pick<Instance, 'runDir'>): string {
  return join(instance.runDir, 'supervisor.json');
}

/**
 * Starts the instance's supervisor in the background, with its output in `logs/supervisor.log`. Resolves when the control
 * socket answers (the boot goes on: follow the events); also when another supervisor was faster.
 * @param env the caller's environment, of which the supervisor gets all but the marks of a supervised process
 * @throws the error for which it ended before it could answer; TimeoutError
 */
export async function launchSupervisor(
  instance: Pick<Instance, 'root' | 'runDir' | 'logsDir' | 'controlSocket'>,
  profile: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const entry = supervisorEntry();
  const logFile = openSupervisorLog(instance);
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [...supervisorNodeFlags, entry], {
    cwd: instance.root,
    env: supervisorEnvironment(instance.root, profile, env),
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = error.message;
  });
  child.once('exit', (code, signal) => {
    ended = signal === null ? `exit code ${code}` : signal;
  });
  child.unref();
  const deadline = performance.now() + waitMs;
  while (!(await answers(instance.controlSocket))) {
    if (ended !== undefined) throw whyEnded(instance, child.pid, ended, logFile);
    if (performance.now() > deadline) {
      throw new TimeoutError(`The supervisor does not answer after ${waitMs / 1000} s.`, {
        hint: `Its log is ${logFile}.`,
        next: ['infra services status'],
      });
    }
    await delay(pollMs);
  }
}

/** Makes the folder of the supervisor's own log and says where to write. */
export function openSupervisorLog(instance: Pick<Instance, 'logsDir'>): string {
  mkdirSync(instance.logsDir, { recursive: true, mode: 0o700 });
  return supervisorLogFile(instance.logsDir);
}

/** The supervisor's program. @throws PreconditionError when it is not built */
export function supervisorEntry(): string {
  const entry = join(packageRoot(), 'dist', 'entry', 'supervisor', 'main.js');
  if (existsSync(entry)) return entry;
  throw new PreconditionError(`The supervisor is not built: ${entry} is missing.`, {
    hint: 'Build it: npm run build',
  });
}

/**
 * A supervisor that was started from inside a service must not be taken for a part of that service, nor speak to the
 * service manager in its starter's name.
 */
function supervisorEnvironment(root: string, profile: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const starters = ['SYSTEMPROMPT_DEPTH', 'SYSTEMPROMPT_TOKEN_FD', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'];
  const dropped: ReadonlySet<string> = new Set([...markerNames, ...starters]);
  const kept = Object.entries(env).filter(([name]) => !dropped.has(name));
  // The private folder that bin/run.js chose: what this supervisor and its services load is compiled once, too.
  const cache = getCompileCacheDir();
  return {
    ...Object.fromEntries(kept),
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }),
    SYSTEMPROMPT_ROOT: root,
    SYSTEMPROMPT_PROFILE: profile,
  };
}

/**
 * Whether a supervisor answers a question there. That the socket takes connections says less: for a moment it still does
 * after its process was killed.
 */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ socketPath: socket, path: '/v1/status', agent: false, timeout: answerMs }, (response) => {
      response.destroy();
      resolve(true);
    });
    sent.once('timeout', () => sent.destroy());
    sent.once('error', () => resolve(false));
    sent.once('close', () => resolve(false));
    sent.end();
  });
}

function whyEnded(instance: Pick<Instance, 'runDir'>, pid: number | undefined, how: string, logFile: string): Error {
  const left = readSupervisorFile(instance);
  if (left !== undefined && left.pid === pid && isWireError(left.error)) return errorFromWire(left.error);
  if (left?.pid === pid && left?.state === 'stopped') {
    return new ConflictError('It was stopped while it was starting.', { next: ['infra services start'] });
  }
  return new SupervisorUnavailableError(`The supervisor ended at once (${how}).`, {
    hint: `The end of ${logFile} says why.`,
    data: { log: tailLines(logFile, 20) },
  });
}

/** What the last supervisor left; `undefined` when there was none, or when the file is not whole. */
export function readSupervisorFile(instance: Pick<Instance, 'runDir'>): SupervisorFile | undefined {
  try {
    return JSON.parse(readFileSync(supervisorFile(instance), 'utf8')) as SupervisorFile;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'ENOENT')) return undefined; // it only explains; without it the log does
    throw error;
  }
}
