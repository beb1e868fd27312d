import { type CallFacts, traceIdOf } from '../../infra/logging/call-facts.ts';
import type { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { type ChildProgram, startProgram } from '../../infra/process/child-program.ts';
import type { ExitStatus } from '../../infra/process/spawn.ts';
import {
  type Asker,
  type Backend,
  type BackendEnded,
  type BackendFactory,
  type BackendListener,
  type Era,
  type Hearer,
  type InstanceScope,
  type Opening,
  type PendingRequest,
  systemUser,
} from './backend.ts';
import { handshake } from './handshake.ts';
import { LineSplitter } from './line-splitter.ts';
import type { JsonRpcMessage } from './message.ts';
import { Multiplexer } from './multiplexer.ts';
import { cannotStart, endedReason } from './program-end.ts';
import { StderrTail } from './stderr-tail.ts';

/** How to run a program that speaks MCP on its standard streams. */
export interface StdioOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Its whole environment but for what a user brings. */
  readonly env: Readonly<Record<string, string>>;
  /** From its start to its answer to `initialize`, in ms. */
  readonly startTimeoutMs: number;
  /** From SIGTERM to SIGKILL, in ms. */
  readonly stopGraceMs: number;
  /** Most bytes of one message. */
  readonly maxMessageBytes: number;
  readonly version: string;
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
}

/** Bytes that may wait for a program which does not read. */
const waitingLimit = 32 * 1024 * 1024;
/** How long a user's secret may still be quoted after the end of the program that had it, in ms. */
const lingerMs = 60_000;

/** Instances that are programs: each a process group of its own, ended as a whole. */
export class StdioFactory implements BackendFactory {
  readonly #options: StdioOptions;

  constructor(options: StdioOptions) {
    this.#options = options;
  }

  async open(scope: InstanceScope, opening: Opening, listener: BackendListener): Promise<Backend> {
    const variables = scope.kind === 'user' || scope.kind === 'session' ? opening.credentials?.variables : undefined;
    const forget = Object.values(variables ?? {}).map((value) => this.#options.secrets.addOfCall(value, lingerMs));
    const forgetAll = (): void => {
      for (const one of forget) one();
    };
    let program: ChildProgram;
    try {
      const { program: file, args, cwd, env } = this.#options;
      program = await startProgram({ file, args, cwd, env: { ...env, ...variables } });
    } catch (error) {
      forgetAll();
      throw cannotStart(this.#options.program, error);
    }
    const running = new StdioBackend(program, this.#options, scope, listener);
    void running.over.then(forgetAll);
    await running.introduce(opening);
    return running;
  }
}

/** What a line of standard error is about: the one request that is being worked on, else whose instance it is. */
function aboutWhom(asker: Asker | undefined, scope: InstanceScope): Partial<CallFacts> {
  if (asker === undefined) return scope.kind === 'user' ? { user: scope.user } : {};
  const { sub: user, exec: execution } = asker.identity;
  const { traceparent } = asker.headers;
  const trace = typeof traceparent === 'string' ? traceIdOf(traceparent) : undefined;
  return { user, ...(execution && { execution }), ...(trace && { trace_id: trace }) };
}

class StdioBackend implements Backend {
  era: Era = 'legacy';
  initialized: Readonly<Record<string, unknown>> = {};
  /** When the program has ended, and nothing of it is left. */
  readonly over: Promise<void>;
  readonly #program: ChildProgram;
  readonly #options: StdioOptions;
  readonly #logger: Logger;
  readonly #multiplexer: Multiplexer;
  readonly #stderr: StderrTail;
  readonly #ended: Promise<BackendEnded>;
  #ownClient = false;
  #closing = false;
  #batch = '';
  /** Whose requests it has had. */
  readonly #users = new Set<string>();

  constructor(program: ChildProgram, options: StdioOptions, scope: InstanceScope, listener: BackendListener) {
    this.#program = program;
    this.#options = options;
    this.#logger = options.logger.child({ child: program.pid });
    this.#multiplexer = new Multiplexer({
      write: (line) => this.#write(line),
      listener,
      oneClient: scope.kind === 'session',
      onStray: (what, facts) => this.#logger.warn(facts, what),
    });
    this.#stderr = new StderrTail(options.secrets, (line) =>
      this.#logger.info({ stream: 'stderr', ...aboutWhom(this.#multiplexer.onlyAsker, scope) }, '%s', line),
    );
    const splitter = new LineSplitter(options.maxMessageBytes, {
      onLine: (line) => this.#multiplexer.receive(line),
      onLongLine: (line) => this.#multiplexer.receiveLong(line),
    });
    program.stdout.on('data', (chunk: Buffer) => splitter.push(chunk));
    program.stderr.on('data', (chunk: Buffer) => this.#stderr.push(chunk));
    // A pipe that breaks shows as the end of the program or of its output.
    program.stdout.on('error', () => undefined);
    program.stderr.on('error', () => undefined);
    this.#logger.info({ scope: scope.kind }, 'program started');
    this.#ended = program.ended.then((status) => this.#reason(status));
    this.over = this.#ended.then(async (reason) => {
      this.#logger.info({ code: reason.exitCode, signal: reason.signal }, 'program ended');
      this.#multiplexer.end(reason);
      await program.stop(0);
      listener.onEnd(reason);
    });
  }

  /** @throws UpstreamFailedError, and then nothing of the program is left */
  async introduce(opening: Opening): Promise<void> {
    try {
      const { era, initialized } = await handshake(this.#multiplexer, {
        initialize: opening.initialize,
        version: this.#options.version,
        timeoutMs: this.#options.startTimeoutMs,
        ended: this.#ended,
        signal: opening.signal,
        stderr: () => this.#stderr.text(),
      });
      this.era = era;
      this.initialized = initialized;
      this.#ownClient = opening.initialize !== undefined;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const { sub } = asker.identity;
    if (this.#users.size < 2 && sub !== systemUser) this.#users.add(sub);
    return this.#multiplexer.request(request, asker, hearer);
  }

  notify(notification: JsonRpcMessage): void {
    // The bridge has said so itself, unless it introduced the client.
    if (notification.method === 'notifications/initialized' && !this.#ownClient) return;
    this.#multiplexer.notify(notification);
  }

  respond(response: JsonRpcMessage): void {
    this.#multiplexer.respond(response);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#program.stop(this.#options.stopGraceMs);
    await this.over;
  }

  /** What all clients send in one turn of the event loop goes out in one write, which the program is woken for once. */
  #write(line: string): boolean {
    const { stdin } = this.#program;
    if (!stdin.writable || stdin.writableLength + this.#batch.length > waitingLimit) return false;
    if (this.#batch === '') setImmediate(() => this.#flush());
    this.#batch += `${line}\n`;
    return true;
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = '';
    this.#program.stdin.write(batch);
  }

  #reason(status: ExitStatus): BackendEnded {
    this.#stderr.end();
    // What a program has written may be about anybody whom it has served; all of it is in the log.
    return endedReason(status, this.#closing, this.#users.size < 2 ? this.#stderr.text() : '');
  }
}
