import type { AppError } from '../../../shared/errors.ts';
import { UpstreamFailedError } from '../../../shared/errors.ts';
import type {
  Asker,
  Backend,
  BackendEnded,
  BackendFactory,
  BackendListener,
  InstanceScope,
  Opening,
} from '../backend.ts';
import { isDiscovered, toDiscovered } from '../eras/discovery.ts';
import { toModernParams } from '../eras/envelope.ts';
import { asObject, type Json } from '../eras/json.ts';
import { errorCode, modernRevision } from '../eras/revisions.ts';
import { bridgeItself } from '../handshake.ts';
import { JsonRpcMessage } from '../message.ts';
import { type Connecting, introduction, type LegacyConnection } from './connection.ts';
import { type Endpoint, openEndpoint } from './endpoint.ts';
import { failureIn } from './failures.ts';
import { LegacyBackend } from './legacy-backend.ts';
import { HttpConnection } from './legacy-http.ts';
import { SseConnection } from './legacy-sse.ts';
import { ModernBackend } from './modern-backend.ts';

export interface ExternalOptions {
  readonly endpoint: string;
  readonly transport: 'auto' | 'streamable-http' | 'sse';
  /** Whether http and addresses that are not public are let through. */
  readonly privateNetwork: boolean;
  /** Most bytes of one message. */
  readonly maxMessageBytes: number;
  /** How long the server may take to say what it is, in ms. */
  readonly startTimeoutMs: number;
  readonly version: string;
}

type Spoken = 'modern' | 'http' | 'sse';

/** Statuses with which a server that speaks HTTP+SSE alone answers a POST (2025-11-25, backwards compatibility). */
const perhapsSse: ReadonlySet<unknown> = new Set([400, 404, 405, 406, 415, 501]);

/** How often at most a server is asked again what it speaks, in ms. */
const askAgainMs = 30_000;

/**
 * Whether a server that speaks the modern era has no sessions for others: it said so, or answered like one that does not know
 * `initialize`. One that can't be reached, is at fault or does not take the credentials has said nothing of the kind.
 */
function hasNoSessions(error: unknown): boolean {
  const { upstream_status: status, rpc_code: code, reason } = (error as AppError).data ?? {};
  return reason === 'no_sessions' || code !== undefined || perhapsSse.has(status);
}

/** Servers that run elsewhere: finds out what each speaks, and remembers. */
export class ExternalFactory implements BackendFactory {
  readonly #options: ExternalOptions;
  readonly #endpoint: Endpoint;
  #known: Spoken | undefined;

  /** @throws FetchRefusedError for an address that is never connected to */
  constructor(options: ExternalOptions) {
    this.#options = options;
    this.#endpoint = openEndpoint(options.endpoint, options.privateNetwork);
  }

  async open(_: InstanceScope, opening: Opening, listener: BackendListener): Promise<Backend> {
    const { transport } = this.#options;
    if (transport === 'sse' || this.#known === 'sse') return await this.#legacy('sse', opening, listener);
    const discovered = this.#known === 'http' ? undefined : await this.#discover(opening);
    if (discovered !== undefined) return await this.#modern(discovered, opening, listener);
    if (transport === 'streamable-http') return await this.#legacy('http', opening, listener);
    return await this.#either(opening, listener);
  }

  async close(): Promise<void> {
    await this.#endpoint.close();
  }

  async #modern(discovered: Json, opening: Opening, listener: BackendListener): Promise<Backend> {
    this.#known = 'modern';
    const onDoubt = this.#doubts(true, opening, (reason) => {
      void backend.other?.close();
      listener.onEnd(reason);
    });
    const limit = this.#options.maxMessageBytes;
    const backend: ModernBackend & { other?: Backend; prepare?: (() => Promise<void>) | undefined } = new ModernBackend(
      {
        endpoint: this.#endpoint,
        discovered,
        limit,
        onDoubt,
      },
    );
    // A server that keeps sessions for its legacy clients gets them as they are; one without such clients is not asked.
    let prepared: Promise<void> | undefined;
    backend.prepare = () => {
      prepared ??= this.#legacy('http', opening, listener, true).then(
        (legacy) => {
          backend.other = legacy;
          backend.prepare = undefined;
        },
        (error: unknown) => {
          // What can't be found out now is asked again by the next.
          prepared = undefined;
          if (!hasNoSessions(error)) throw error;
          backend.prepare = undefined;
        },
      );
      return prepared;
    };
    return backend;
  }

  async #either(opening: Opening, listener: BackendListener): Promise<Backend> {
    try {
      return await this.#legacy('http', opening, listener);
    } catch (error) {
      const { upstream_status: status } = (error as AppError).data ?? {};
      if (!perhapsSse.has(status)) throw error;
      try {
        return await this.#legacy('sse', opening, listener);
      } catch (older) {
        const hint = 'Neither the present transport nor the older one (HTTP+SSE) is spoken at this address.';
        throw new UpstreamFailedError((error as AppError).message, {
          hint,
          data: (error as AppError).data,
          cause: older,
        });
      }
    }
  }

  /** @param stateful whether a server is only taken when it keeps sessions */
  async #legacy(
    spoken: 'http' | 'sse',
    opening: Opening,
    listener: BackendListener,
    stateful = false,
  ): Promise<Backend> {
    const open = this.#opener(spoken);
    const own = introduction(this.#options.version);
    const opened = opening.initialize ?? own;
    const { credentials } = opening;
    const first = await open({ opened, credentials, listener, ofSession: false });
    const modern = first.initialized['protocolVersion'] === modernRevision;
    if (stateful && (first.sessionId === undefined || modern)) {
      await first.close();
      throw new UpstreamFailedError('The server keeps no sessions.', { data: { reason: 'no_sessions' } });
    }
    // A server that does not say what it is may say so here all the same.
    if (modern && spoken === 'http') {
      await first.close();
      const discovered = { ...toDiscovered(first.initialized), supportedVersions: [modernRevision] };
      return await this.#modern(discovered, opening, listener);
    }
    if (!stateful) this.#known = spoken;
    const relays = spoken === 'http';
    const onDoubt = stateful
      ? () => undefined
      : this.#doubts(false, opening, (reason) => {
          void backend.close();
          listener.onEnd(reason);
        });
    const options = { endpoint: this.#endpoint, open, listener, relays, introduction: own, onDoubt };
    const backend = new LegacyBackend(options, { connection: first, opened, credentials });
    return backend;
  }

  /** A server may be changed for a newer one, or back: when it takes something for none of its era, it is asked again. */
  #doubts(modern: boolean, opening: Opening, ended: (reason: BackendEnded) => void): () => void {
    let lastAt = Number.NEGATIVE_INFINITY;
    let over = false;
    return () => {
      if (over || performance.now() - lastAt < askAgainMs || this.#options.transport === 'sse') return;
      lastAt = performance.now();
      this.#discover(opening).then(
        (discovered) => {
          if (over || (discovered !== undefined) === modern) return;
          over = true;
          this.#known = undefined;
          ended({ message: 'The server elsewhere speaks another revision of MCP now.' });
        },
        () => undefined, // it can't be reached: that says nothing
      );
    };
  }

  #opener(spoken: 'http' | 'sse') {
    const { maxMessageBytes: limit, startTimeoutMs: timeoutMs } = this.#options;
    const kind = spoken === 'http' ? HttpConnection : SseConnection;
    return (more: Connecting): Promise<LegacyConnection> =>
      kind.open({ endpoint: this.#endpoint, limit, timeoutMs, ...more });
  }

  /**
   * Asks what only a modern server knows. Nothing when it is a legacy one: any refusal of the request itself says so.
   * @throws AppError when the server can't be reached, does not take the credentials, or is at fault: that says nothing of its era
   */
  async #discover(opening: Opening): Promise<Json | undefined> {
    const sender = {
      clientInfo: asObject(introduction(this.#options.version)['clientInfo']),
      capabilities: {},
      logLevel: undefined,
    };
    const request = JsonRpcMessage.request('discover', 'server/discover', toModernParams({}, sender));
    const probe = new ModernBackend({
      endpoint: this.#endpoint,
      discovered: {},
      onDoubt: () => undefined,
      limit: this.#options.maxMessageBytes,
    });
    const asker: Asker = { ...bridgeItself, era: 'modern', credentials: opening.credentials };
    let answer = await this.#asked(probe, request, asker);
    // Only a server of this era knows this error: it is asked once more by what it says that it takes (SEP-2575).
    const { code, data } = asObject(answer.value['error']);
    const { supported } = asObject(data);
    if (code === errorCode.unsupportedVersion && Array.isArray(supported) && supported.includes(modernRevision)) {
      answer = await this.#asked(probe, request, asker);
    }
    const { result } = answer.value;
    if (isDiscovered(result)) return result;
    const failed = failureIn(answer);
    if (failed !== undefined && !perhapsSse.has(failed.data['upstream_status'])) throw failed;
    return undefined;
  }

  async #asked(probe: ModernBackend, request: JsonRpcMessage, asker: Asker): Promise<JsonRpcMessage> {
    return await new Promise<JsonRpcMessage>((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.cancel();
        reject(
          new UpstreamFailedError(`The server elsewhere did not answer within ${this.#options.startTimeoutMs} ms.`),
        );
      }, this.#options.startTimeoutMs);
      const hearer = {
        onMessage: () => undefined,
        onAnswer: (message: JsonRpcMessage) => {
          clearTimeout(timer);
          resolve(message);
        },
      };
      const pending = probe.request(request, asker, hearer);
    });
  }
}
