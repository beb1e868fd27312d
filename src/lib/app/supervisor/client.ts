import { lstatSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { SupervisorUnavailableError, TimeoutError } from '../../shared/errors.ts';
import { errorFromWire, isWireError } from '../../shared/wire.ts';
import { machineMs, untilHeader } from './deadline.ts';
import type { InstanceStatus, ReconcileResult, ServiceLogLine, ServicesResult, SupervisorEvent } from './status.ts';

export type {
  InstanceStatus,
  ServiceLogLine,
  ServiceState,
  ServiceStatus,
  ServicesResult,
  SupervisorEvent,
} from './status.ts';

// On the hot path of `infra services status`: node's own modules and types only.

// Not an import: linking node:http as an ES module reads all of its exports, and some are getters that load undici (about
// 10 ms of every command).
const { Agent, request: httpRequest } = process.getBuiltinModule('node:http');

/** What needs no work is answered in a moment. */
const questionMs = 5_000;
/** A request that writes, such as a sign-in: it may have to wait for the database. */
const writeMs = 10_000;
const orderMs = 120_000;
/** An order's answer says itself that its time was up; that much later there is none. */
const marginMs = 3_000;
const shutdownMs = 30_000;
/** As long as it takes to replace every service, if it must be; it has to be begun as soon as any other. */
const reconcileMs = 1_800_000;
/** How long after its last word a supervisor may take to let go of the socket, and how often that is looked at, in ms. */
const releaseMs = 3_000;
const releasePollMs = 10;

/** How long to wait for an answer. */
export interface Patience {
  /** Until the whole answer, in ms; of a stream until its beginning. */
  readonly withinMs?: number | undefined;
  /** From when on it must not be begun any more, in ms from now; `withinMs` unless told. */
  readonly beginWithinMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LogQuery {
  /** Names; every service when absent. */
  readonly service?: string | readonly string[] | undefined;
  /** How many of the last lines of each; 20 unless told. */
  readonly lines?: number;
  /** ISO 8601, UTC. */
  readonly since?: string | undefined;
  /** The least severe level that is wanted. */
  readonly level?: string | undefined;
  /** Go on with what is written from now on. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** How an order to start, stop or restart is given; see the control routes. */
export interface OrderOptions {
  /** False: answered as soon as it is under way. */
  readonly wait?: boolean;
  /** How long to wait, in ms. */
  readonly timeoutMs?: number;
}

/**
 * Speaks to a running supervisor over its control socket. Every method throws the error that the supervisor threw, and
 * TimeoutError when it does not answer: it is stopped by a signal, or hangs.
 */
export class SupervisorClient {
  readonly #socket: string;
  readonly #runDir: string | undefined;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(socket: string, runDir: string | undefined) {
    this.#socket = socket;
    this.#runDir = runDir;
  }

  /**
   * @param controlSocket path of the instance's control socket
   * @param runDir the instance's `run/`, from which the error about one that does not answer has its pid
   * @throws SupervisorUnavailableError when none runs, or when the socket is another user's; TimeoutError when too many
   *   wait for it already
   */
  static async connect(controlSocket: string, runDir?: string): Promise<SupervisorClient> {
    refuseForeign(controlSocket);
    const client = new SupervisorClient(controlSocket, runDir);
    await new Promise<void>((resolve, reject) => {
      const probe = connect(controlSocket);
      probe.once('connect', () => {
        probe.destroy();
        resolve();
      });
      probe.once('error', (cause) => {
        if (isFull(cause)) void client.#silent().then(reject, reject);
        else reject(unavailable(cause));
      });
    });
    return client;
  }

  async status(patience: Patience = {}): Promise<InstanceStatus> {
    return (await this.request('GET', '/v1/status', undefined, patience)) as InstanceStatus;
  }

  /**
   * Starts services (all when none is named; names may be kinds) and waits until each is ready or has failed.
   * @throws NotFoundError, TimeoutError
   */
  start(names?: readonly string[], options: OrderOptions = {}): Promise<ServicesResult> {
    return this.#order('start', names, options);
  }

  /** Stops services (all when none is named; the supervisor stays) and waits until they have ended. `now` kills. */
  stop(names?: readonly string[], options: OrderOptions & { readonly now?: boolean } = {}): Promise<ServicesResult> {
    return this.#order('stop', names, options);
  }

  /** Restarts services (all but the database when none is named) and waits until each is ready or has failed. */
  restart(names?: string | readonly string[], options: OrderOptions = {}): Promise<ServicesResult> {
    return this.#order('restart', typeof names === 'string' ? [names] : names, options);
  }

  async #order(verb: string, names: readonly string[] | undefined, options: OrderOptions): Promise<ServicesResult> {
    const timeoutMs = options.wait === false ? undefined : (options.timeoutMs ?? orderMs);
    const body = {
      ...(names === undefined ? {} : { names }),
      ...options,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    const patience =
      timeoutMs === undefined ? { withinMs: questionMs } : { withinMs: timeoutMs + marginMs, beginWithinMs: timeoutMs };
    return (await this.request('POST', `/v1/${verb}`, body, patience)) as ServicesResult;
  }

  /** Brings what runs to what is configured now, and waits for it; `dryRun` only asks what that would take. */
  async reconcile(options: { readonly dryRun?: boolean } = {}): Promise<ReconcileResult> {
    const patience =
      options.dryRun === true ? { withinMs: questionMs } : { withinMs: reconcileMs, beginWithinMs: writeMs };
    return (await this.request('POST', '/v1/reconcile', options, patience)) as ReconcileResult;
  }

  /**
   * Stops everything, the supervisor last; resolves when it has ended. `now` kills instead of asking.
   * @param withinMs how long the supervisor has to take the order, in ms; what follows takes as long as it takes
   */
  async shutdown(now = false, withinMs = shutdownMs): Promise<void> {
    await this.request('POST', '/v1/shutdown', { now }, { withinMs });
    try {
      // The stream ends with the process that feeds it.
      for await (const event of this.events()) if (event.type === 'stopped') break;
    } catch (error) {
      if (!(error instanceof SupervisorUnavailableError)) throw error; // it ended before we could listen
    }
    await this.#released();
  }

  /** Its last word comes some milliseconds before it lets go of the socket, which is the lock that a next start needs. */
  async #released(): Promise<void> {
    const deadline = performance.now() + releaseMs;
    while (lstatSync(this.#socket, { throwIfNoEntry: false }) !== undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, releasePollMs));
  }

  /** What happened since the supervisor started, then what happens, until it ends or the signal fires. */
  async *events(signal?: AbortSignal): AsyncGenerator<SupervisorEvent, void, undefined> {
    yield* this.#stream<SupervisorEvent>('/v1/events', signal);
  }

  async *logs(query: LogQuery): AsyncGenerator<ServiceLogLine, void, undefined> {
    const params = new URLSearchParams();
    for (const name of [query.service ?? []].flat()) params.append('service', name);
    if (query.lines !== undefined) params.set('lines', String(query.lines));
    if (query.since !== undefined) params.set('since', query.since);
    if (query.level !== undefined) params.set('level', query.level);
    if (query.follow === true) params.set('follow', 'true');
    yield* this.#stream<ServiceLogLine>(`/v1/logs?${params}`, query.signal);
  }

  /**
   * One request and its JSON answer, for the routes that the composition root added.
   * @throws the error that the supervisor answered with; SupervisorUnavailableError when the connection breaks;
   *   TimeoutError
   */
  async request(method: 'GET' | 'POST', path: string, body?: unknown, patience: Patience = {}): Promise<unknown> {
    const withinMs = patience.withinMs ?? (method === 'GET' ? questionMs : writeMs);
    return await this.#within(withinMs, patience.signal, async (signal) => {
      const until = method === 'GET' ? undefined : machineMs() + (patience.beginWithinMs ?? withinMs);
      const response = await this.#open(method, path, body, signal, until);
      try {
        return JSON.parse(await textOf(response)) as unknown;
      } catch (cause) {
        throw unavailable(cause);
      }
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  async *#stream<T>(path: string, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    const response = await this.#within(questionMs, signal, (bounded) => this.#open('GET', path, undefined, bounded));
    let rest = '';
    try {
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
      }
    } catch (error) {
      // The supervisor ended (perhaps by SIGKILL), or the caller has seen enough: the end of the stream either way.
      if (error instanceof SyntaxError) throw error;
    } finally {
      response.destroy();
    }
  }

  /** Its signal fires when the time is up before the work is done, or with the caller's. */
  async #within<T>(ms: number, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ms);
    try {
      return await work(signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]));
    } catch (error) {
      throw late.signal.aborted ? await this.#silent() : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The error about a supervisor that holds its socket and does not answer. */
  async #silent(): Promise<TimeoutError> {
    const pid = this.#runDir === undefined ? undefined : await holderOf(this.#runDir);
    return new TimeoutError(`The supervisor${pid === undefined ? '' : ` (pid ${pid})`} does not answer`, {
      hint: 'The services go on without it. What is wrong with it, and how to end it, says',
      next: ['doctor'],
      data: { reason: 'no_answer', ...(pid === undefined ? {} : { pid }) },
    });
  }

  async #open(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
    until?: number,
  ): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = httpRequest(
        {
          socketPath: this.#socket,
          agent: this.#agent,
          method,
          path,
          headers: {
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
            ...(until === undefined ? {} : { [untilHeader]: String(until) }),
          },
          signal,
        },
        resolve,
      );
      sent.once('error', (cause) => {
        if (isFull(cause)) void this.#silent().then(reject, reject);
        else reject(unavailable(cause));
      });
      sent.end(payload);
    });
    if ((response.statusCode ?? 500) < 400) return response;
    const answer = JSON.parse(await textOf(response)) as { error?: unknown };
    if (isWireError(answer.error)) throw errorFromWire(answer.error);
    throw unavailable(new Error(`the supervisor answered ${response.statusCode}`));
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return text;
}

/** Whether so many connections wait to be taken that the socket takes no more: connect(2). */
function isFull(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN';
}

/** The pid of the supervisor that has not come to its end yet. */
async function holderOf(runDir: string): Promise<number | undefined> {
  const { readSupervisorFile } = await import('../../infra/process/launch.ts');
  const left = readSupervisorFile({ runDir });
  return left?.state === 'booting' || left?.state === 'running' ? left.pid : undefined;
}

/** A socket that another user put there could hand us any answer. */
function refuseForeign(path: string): void {
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || process.getuid === undefined || owner === process.getuid()) return;
  throw new SupervisorUnavailableError(`The control socket ${path} belongs to the user with id ${owner}, not to you.`, {
    hint: 'Run the command as the user who started the system.',
    data: { reason: 'foreign_socket', owner },
  });
}

function unavailable(cause: unknown): SupervisorUnavailableError {
  return new SupervisorUnavailableError('The system is not running.', {
    hint: 'Start it first.',
    next: ['infra services start'],
    cause,
  });
}
