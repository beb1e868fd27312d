import { createHash } from 'node:crypto';
import type { Asker, Backend, Hearer, HttpExchange, PendingRequest } from '../backend.ts';
import { asObject } from '../eras/json.ts';
import { errorCode } from '../eras/revisions.ts';
import type { JsonRpcMessage } from '../message.ts';
import type { Connecting, ConnectionOptions, LegacyConnection } from './connection.ts';
import type { Endpoint } from './endpoint.ts';
import { failure, failureIn } from './failures.ts';
import { isDoubtful, relayExchange } from './relay.ts';

/** How long a connection that nobody uses is kept, in ms; how often it is looked for such, in ms; how many there may be. */
const idleMs = 5 * 60_000;
const sweepMs = 30_000;
const mostConnections = 2_000;

export interface LegacyBackendOptions {
  readonly endpoint: Endpoint;
  readonly open: (more: Connecting) => Promise<LegacyConnection>;
  readonly listener: ConnectionOptions['listener'];
  readonly relays: boolean;
  readonly introduction: Readonly<Record<string, unknown>>;
  /** The server may have become another. */
  readonly onDoubt: () => void;
}

/** A connection that was opened to find out what the server is: the first who would open the same one gets it. */
export interface FirstConnection extends Pick<ConnectionOptions, 'opened' | 'credentials'> {
  readonly connection: LegacyConnection;
}

/**
 * A legacy server elsewhere. Clients of its own era keep their sessions with it themselves; for all others there is one
 * session for each user and what his client can do, so that the server asks nobody what he can't answer.
 */
export class LegacyBackend implements Backend {
  readonly era = 'legacy';
  readonly initialized: Readonly<Record<string, unknown>>;
  readonly relay?: (exchange: HttpExchange) => Promise<void>;
  readonly #options: LegacyBackendOptions;
  readonly #connections = new Map<string, Promise<LegacyConnection>>();
  readonly #open = new Map<string, LegacyConnection>();
  readonly #sweep: NodeJS.Timeout;
  #first: FirstConnection | undefined;

  constructor(options: LegacyBackendOptions, first: FirstConnection) {
    this.#options = options;
    this.#first = first;
    this.initialized = first.connection.initialized;
    if (options.relays) this.relay = (exchange) => relayExchange(options.endpoint, exchange, options.onDoubt);
    this.#sweep = setInterval(() => this.#closeIdle(), sweepMs);
    this.#sweep.unref();
  }

  request(request: JsonRpcMessage, asker: Asker, client: Hearer): PendingRequest {
    const hearer: Hearer = {
      onMessage: (message) => client.onMessage(message),
      onAnswer: (answer) => {
        const { code } = asObject(answer.value['error']);
        const doubtful = isDoubtful(failureIn(answer)?.data['upstream_status']);
        if (doubtful || code === errorCode.unsupportedVersion) this.#options.onDoubt();
        client.onAnswer(answer);
      },
    };
    const open = this.#open.get(keyOf(asker));
    if (open?.ended === false) return open.request(request, asker, hearer);
    let pending: PendingRequest | undefined;
    let cancelled = false;
    this.#connection(asker).then(
      (connection) => {
        if (!cancelled) pending = connection.request(request, asker, hearer);
      },
      (error: unknown) => {
        if (!cancelled) hearer.onAnswer(failure(request.id ?? null, error as never));
      },
    );
    return {
      cancel: (reason) => {
        cancelled = true;
        pending?.cancel(reason);
      },
    };
  }

  notify(notification: JsonRpcMessage, asker: Asker): void {
    this.#open.get(keyOf(asker))?.notify(notification, asker);
  }

  respond(response: JsonRpcMessage, asker: Asker): void {
    this.#open.get(keyOf(asker))?.respond(response, asker);
  }

  forget(session: string): void {
    void this.#close(`session ${session}`);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#closeFirst();
    await Promise.all([...this.#connections.keys()].map((key) => this.#close(key)));
  }

  #connection(asker: Asker): Promise<LegacyConnection> {
    const key = keyOf(asker);
    const there = this.#connections.get(key);
    if (there !== undefined && this.#open.get(key)?.ended !== true) return there;
    this.#open.delete(key);
    if (this.#connections.size >= mostConnections) this.#closeLongestIdle();
    const opening = this.#takeFirst(asker) ?? this.#begin(asker);
    this.#connections.set(key, opening);
    opening.then(
      (connection) => {
        if (this.#connections.get(key) === opening) this.#open.set(key, connection);
      },
      () => {
        if (this.#connections.get(key) === opening) this.#connections.delete(key);
        this.#options.onDoubt();
      },
    );
    return opening;
  }

  #begin(asker: Asker): Promise<LegacyConnection> {
    const { listener, introduction, open } = this.#options;
    return open({
      opened: asker.opened ?? introduction,
      credentials: asker.credentials,
      listener: { onMessage: (message) => listener.onMessage(message, asker.session) },
      ofSession: asker.session !== undefined,
    });
  }

  #takeFirst({ session, opened, credentials }: Asker): Promise<LegacyConnection> | undefined {
    const first = this.#first;
    if (first === undefined || session !== undefined) return undefined;
    const { introduction } = this.#options;
    const same =
      !first.connection.ended &&
      digest(opened ?? introduction, credentials) === digest(first.opened, first.credentials);
    if (!same) return undefined;
    this.#first = undefined;
    return Promise.resolve(first.connection);
  }

  async #close(key: string): Promise<void> {
    const connection = this.#connections.get(key);
    this.#connections.delete(key);
    this.#open.delete(key);
    await connection?.then((open) => open.close()).catch(() => undefined);
  }

  #closeIdle(): void {
    if (this.#first !== undefined && this.#first.connection.idleMs > idleMs) void this.#closeFirst();
    for (const [key, connection] of this.#open) if (connection.idleMs > idleMs) void this.#close(key);
  }

  async #closeFirst(): Promise<void> {
    const first = this.#first;
    this.#first = undefined;
    await first?.connection.close();
  }

  #closeLongestIdle(): void {
    const [longest] = [...this.#open].sort(([, one], [, other]) => other.idleMs - one.idleMs);
    if (longest !== undefined) void this.#close(longest[0]);
  }
}

/** Who shares a session at the server: a client's own, else all requests of one user whose clients say the same of themselves. */
function keyOf({ session, identity, opened, credentials }: Asker): string {
  if (session !== undefined) return `session ${session}`;
  return `user ${identity.sub} ${digest(opened, credentials)}`;
}

function digest(opened: Asker['opened'], credentials: Asker['credentials']): string {
  const facts = JSON.stringify([opened ?? null, credentials?.key ?? credentials?.headers ?? null]);
  return createHash('sha256').update(facts).digest('base64url');
}
