import { lstatSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { SupervisorUnavailableError } from '../../shared/errors.ts';
import { errorFromWire, isWireError } from '../../shared/wire.ts';
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

/** Speaks to a running supervisor over its control socket. Every method throws the error that the supervisor threw. */
export class SupervisorClient {
  readonly #socket: string;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * @param controlSocket path of the instance's control socket
   * @throws SupervisorUnavailableError when none runs, or when the socket is another user's
   */
  static async connect(controlSocket: string): Promise<SupervisorClient> {
    refuseForeign(controlSocket);
    await new Promise<void>((resolve, reject) => {
      const probe = connect(controlSocket);
      probe.once('connect', () => {
        probe.destroy();
        resolve();
      });
      probe.once('error', (cause) => reject(unavailable(cause)));
    });
    return new SupervisorClient(controlSocket);
  }

  async status(): Promise<InstanceStatus> {
    return (await this.request('GET', '/v1/status')) as InstanceStatus;
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
    const body = names === undefined ? options : { names, ...options };
    return (await this.request('POST', `/v1/${verb}`, body)) as ServicesResult;
  }

  /** Brings what runs to what is configured now, and waits for it; `dryRun` only asks what that would take. */
  async reconcile(options: { readonly dryRun?: boolean } = {}): Promise<ReconcileResult> {
    return (await this.request('POST', '/v1/reconcile', options)) as ReconcileResult;
  }

  /** Stops everything, the supervisor last; resolves when it has ended. `now` kills instead of asking. */
  async shutdown(now = false): Promise<void> {
    await this.request('POST', '/v1/shutdown', { now });
    try {
      // The stream ends with the process that feeds it.
      for await (const event of this.events()) if (event.type === 'stopped') break;
    } catch (error) {
      if (!(error instanceof SupervisorUnavailableError)) throw error; // it ended before we could listen
    }
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
   * @throws the error that the supervisor answered with; SupervisorUnavailableError when the connection breaks
   */
  async request(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const response = await this.#open(method, path, body);
    try {
      return JSON.parse(await textOf(response)) as unknown;
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async *#stream<T>(path: string, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
    const response = await this.#open('GET', path, undefined, signal);
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

  async #open(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = httpRequest(
        {
          socketPath: this.#socket,
          agent: this.#agent,
          method,
          path,
          headers:
            payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
          ...(signal === undefined ? {} : { signal }),
        },
        resolve,
      );
      sent.once('error', (cause) => reject(unavailable(cause)));
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
