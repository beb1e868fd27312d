import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, createServer, type Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../../infra/process/identity.ts';
import { ConflictError, PreconditionError } from '../../shared/errors.ts';
import { SupervisorClient } from './client.ts';

const answerWaitMs = 3_000;
const pollMs = 25;
const lastAnswersMs = 500;

/** The instance's lock, held by the bound control socket. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Binds the control socket, which is the instance's lock: whoever has bound it supervises. A socket that a killed
 * supervisor left behind refuses connections; it is removed under a second lock, so that of two who find it only one
 * takes over.
 * @param server answers on the socket once it is bound
 * @throws ConflictError naming the supervisor that runs; PreconditionError when the socket is another user's
 */
export async function bindControlSocket(server: Server, path: string): Promise<Lock> {
  refuseForeign(path);
  const guard = await waitForGuard(path);
  try {
    if (!(await tryListen(server, path))) {
      if (await answers(path)) throw await whoRuns(path);
      rmSync(path, { force: true });
      if (!(await tryListen(server, path))) throw await whoRuns(path);
    }
    // The folder is 0700 already; the mode of the socket itself says the same to whoever looks.
    chmodSync(path, 0o600);
  } catch (error) {
    await closed(guard);
    throw error;
  }
  return {
    release: async () => {
      // Answers that are under way get a moment, streams that nobody ends none.
      setTimeout(() => server.closeAllConnections(), lastAnswersMs).unref();
      await closed(server);
      await closed(guard);
    },
  };
}

/**
 * Waits for one that is just ending; gives up at once when one answers. That its socket takes connections is no answer: for
 * a moment it still does after its process was killed.
 */
async function waitForGuard(path: string): Promise<NetServer> {
  const deadline = performance.now() + answerWaitMs;
  for (;;) {
    const guard = await takeoverGuard(path);
    if (guard !== undefined) return guard;
    const found = await Promise.race([whoRuns(path), delay(answerWaitMs, somebody(undefined), { ref: false })]);
    if (performance.now() > deadline || found.data['pid'] !== undefined) throw found;
    await delay(pollMs);
  }
}

/**
 * On Linux an abstract socket (unix(7)): bound by one process at a time, and freed by the kernel however it ends. Held for
 * as long as the control socket is. Elsewhere a stale socket is replaced without it; macOS has no such thing.
 */
async function takeoverGuard(path: string): Promise<NetServer | undefined> {
  const guard = createServer((socket) => socket.destroy());
  if (process.platform !== 'linux') return guard;
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
  return (await tryListen(guard, `\0systemprompt-${name}`)) ? guard : undefined;
}

/** @returns false when somebody has bound it (or left it behind) */
function tryListen(server: NetServer | Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      if (hasCode(error, 'EADDRINUSE')) resolve(false);
      else reject(new PreconditionError(`The control socket ${path} can't be bound.`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(path, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (hasCode(error, 'ECONNREFUSED', 'ENOENT')) resolve(false);
      else reject(new PreconditionError(`The control socket ${path} can't be reached.`, { cause: error }));
    });
  });
}

/** The error that names who supervises. */
async function whoRuns(path: string): Promise<ConflictError> {
  try {
    const client = await SupervisorClient.connect(path);
    try {
      const { supervisor, url } = await client.status();
      return new ConflictError(`The system runs already: supervisor ${supervisor.pid}, ${url}.`, {
        hint: 'Look at what runs, or stop it first.',
        next: ['infra services status', 'infra services stop'],
        data: { pid: supervisor.pid, url },
      });
    } finally {
      client.close();
    }
  } catch (cause) {
    return somebody(cause);
  }
}

/** The error about one that does not answer. */
function somebody(cause: unknown): ConflictError {
  return new ConflictError('Another supervisor of this instance is starting or ending.', {
    hint: 'Try again in a moment.',
    next: ['infra services status'],
    cause,
  });
}

function refuseForeign(path: string): void {
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || process.getuid === undefined || owner === process.getuid()) return;
  throw new PreconditionError(`The control socket ${path} belongs to the user with id ${owner}, not to you.`, {
    hint: 'Run the system as the user who started it first.',
    data: { owner },
  });
}

function closed(server: NetServer | Server): Promise<void> {
  return new Promise((resolve) => {
    // Not listening is closed: the callback's error says nothing else.
    server.close(() => resolve());
  });
}
