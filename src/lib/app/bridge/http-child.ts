import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { type ChildProgram, startProgram } from '../../infra/process/child-program.ts';
import { unusedPort } from '../../infra/process/ports.ts';
import type { Readiness } from '../../infra/process/readiness.ts';
import { isRecord } from '../router/jsonrpc.ts';
import type { Backend, BackendEnded, BackendFactory, BackendListener, InstanceScope, Opening } from './backend.ts';
import { startFailed } from './faults.ts';
import { HttpChildBackend } from './http-child-backend.ts';
import { cannotStart, endedReason } from './program-end.ts';
import { StderrTail } from './stderr-tail.ts';

/** How to run a program that listens on MCP_PORT and serves MCP over HTTP itself. */
export interface HttpChildOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Its whole environment but for MCP_PORT. */
  readonly env: Readonly<Record<string, string>>;
  /** From its start to its first answer, in ms. */
  readonly startTimeoutMs: number;
  /** From SIGTERM to SIGKILL, in ms. */
  readonly stopGraceMs: number;
  /** Most bytes of one message. */
  readonly maxMessageBytes: number;
  /** A header that the program takes for the router's, for what the bridge itself asks. */
  readonly ownIdentity: () => string;
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
}

const pollMs = 50;
const probeTimeoutMs = 2_000;

/** The one instance of a server in another language: started with the bridge, and ended with it. */
export class HttpChildFactory implements BackendFactory {
  readonly #options: HttpChildOptions;
  #pool: Pool | undefined;

  constructor(options: HttpChildOptions) {
    this.#options = options;
  }

  async open(_: InstanceScope, __: Opening, listener: BackendListener): Promise<Backend> {
    const { program: file, args, cwd, env, logger, secrets, startTimeoutMs } = this.#options;
    const port = await unusedPort();
    let program: ChildProgram;
    try {
      program = await startProgram({ file, args, cwd, env: { ...env, MCP_PORT: String(port) } });
    } catch (error) {
      throw cannotStart(file, error);
    }
    program.stdin.end();
    const log = logger.child({ child: program.pid });
    const stderr = new StderrTail(secrets, (line) => log.info({ stream: 'stderr' }, '%s', line));
    const stdout = new StderrTail(secrets, (line) => log.info({ stream: 'stdout' }, '%s', line));
    program.stderr.on('data', (chunk: Buffer) => stderr.push(chunk)).on('error', () => undefined);
    program.stdout.on('data', (chunk: Buffer) => stdout.push(chunk)).on('error', () => undefined);
    const pool = new Pool(`http://127.0.0.1:${port}`, { headersTimeout: 0, bodyTimeout: 0, allowH2: false });
    let closing = false;
    const ended = program.ended.then((status) => {
      stderr.end();
      stdout.end();
      return endedReason(status, closing, stderr.text());
    });
    const close = async (): Promise<void> => {
      closing = true;
      await program.stop(this.#options.stopGraceMs);
      await pool.destroy();
    };
    try {
      await this.#untilHealthy(pool, ended, startTimeoutMs);
      const backend = new HttpChildBackend({ ...this.#options, pool, logger: log, close });
      await backend.introduce();
      this.#pool = pool;
      void ended.then(async (reason) => {
        this.#pool = undefined;
        await program.stop(0);
        listener.onEnd(reason);
      });
      return backend;
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** What the program says of itself: whether it can serve, and how many tools it has. */
  async look(signal: AbortSignal): Promise<Readiness & { readonly tools?: number }> {
    if (this.#pool === undefined) return { ready: false, reason: 'its program does not run' };
    const { status, health } = await askHealth(this.#pool, signal);
    if (status !== 200) return { ready: false, reason: `its program answered ${status}` };
    const { ready, reason, tools } = health;
    return {
      ready: ready !== false,
      ...(typeof reason === 'string' ? { reason } : {}),
      ...(typeof tools === 'number' ? { tools } : {}),
    };
  }

  async #untilHealthy(pool: Pool, ended: Promise<BackendEnded>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let over: BackendEnded | undefined;
    void ended.then((reason) => {
      over = reason;
    });
    let last = 'nothing listens on MCP_PORT';
    while (performance.now() < deadline) {
      if (over !== undefined) throw startFailed(over);
      try {
        const { status } = await askHealth(pool, AbortSignal.timeout(probeTimeoutMs));
        if (status === 200) return;
        last = `/healthz answered ${status}`;
      } catch {
        // Not yet.
      }
      await delay(pollMs);
    }
    throw startFailed({ message: `The server was not ready within ${timeoutMs} ms: ${last}.` });
  }
}

async function askHealth(
  pool: Pool,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly health: Readonly<Record<string, unknown>> }> {
  const { statusCode, body } = await pool.request({ path: '/healthz', method: 'GET', signal });
  const text = await body.text();
  let health: unknown;
  try {
    health = JSON.parse(text);
  } catch {
    health = undefined; // the status alone says enough
  }
  return { status: statusCode, health: isRecord(health) ? health : {} };
}
