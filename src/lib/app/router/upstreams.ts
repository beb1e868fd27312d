import { createSecretKey, type KeyObject } from 'node:crypto';
import { type Dispatcher, Pool } from 'undici';
import { deriveIdentityKey } from '../../infra/security/identity-header.ts';
import { UpstreamUnavailableError } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { idleConnectionMs } from '../server-door.ts';
import type { ServiceEndpoint } from '../supervisor/directory.ts';
import { Sending } from './sending.ts';

/** One run of one server: its connections, and the key that it believes. */
export interface Upstream {
  readonly instanceId: ServiceInstanceId;
  readonly pool: Pool;
  readonly identityKey: KeyObject;
}

export interface Directory {
  endpoint(serviceName: string): ServiceEndpoint | undefined;
  /** Reads again now. */
  refresh(): Promise<void>;
  /** @returns a function that unsubscribes */
  onChange(listener: () => void): () => void;
}

/** Makes a request for one run of a server: its headers carry an identity that only that run believes. What it throws the handler hears. */
export type RequestFor = (upstream: Upstream) => Dispatcher.DispatchOptions;

interface Known extends Upstream {
  readonly port: number;
}

const connectTimeoutMs = 2_000;
/** How often a request that was never sent is tried at a run that took the place of the one before. */
const triesLimit = 3;

/** Kept-alive connections to the servers on loopback; a server that was started anew gets new ones. */
export class Upstreams {
  readonly #directory: Directory;
  readonly #identityRoot: Uint8Array;
  readonly #onAnew: ((serverName: string) => void) | undefined;
  readonly #known = new Map<string, Known>();
  readonly #off: () => void;

  /** @param onAnew hears of each server whose run is no more the one that was known */
  constructor(directory: Directory, identityRoot: Uint8Array, onAnew?: (serverName: string) => void) {
    this.#onAnew = onAnew;
    this.#directory = directory;
    this.#identityRoot = identityRoot;
    this.#off = directory.onChange(() => this.#letGo());
  }

  /**
   * Sends a request to the run of the server that serves now. One that never left, because that run has just given up its
   * port, goes to the run that took its place; what was sent, in whole or in part, is never sent again. The handler hears
   * of every failure, that of finding no server too.
   */
  send(serverName: string, request: RequestFor, handler: Dispatcher.DispatchHandler, tries = 1): void {
    let upstream: Upstream;
    try {
      upstream = this.to(serverName);
    } catch (error) {
      fail(handler, error);
      return;
    }
    const again = (error: Error): boolean => {
      if (tries >= triesLimit) return false;
      // A hand-over ends the old run only when the new one is on record: a fresh look finds it, or there is none.
      void this.#directory.refresh().then(() => {
        const now = this.#directory.endpoint(`mcp:${serverName}`);
        if (now?.instanceId === upstream.instanceId && this.#known.get(serverName) === upstream) fail(handler, error);
        else this.send(serverName, request, handler, tries + 1);
      });
      return true;
    };
    let options: Dispatcher.DispatchOptions;
    try {
      options = request(upstream);
    } catch (error) {
      fail(handler, error);
      return;
    }
    upstream.pool.dispatch(options, new Sending(handler, again));
  }

  /** @throws UpstreamUnavailableError when the server is not ready */
  to(serverName: string): Upstream {
    const endpoint = this.#directory.endpoint(`mcp:${serverName}`);
    if (endpoint === undefined || endpoint.state !== 'ready' || !endpoint.serving) {
      const state = endpoint?.state === 'ready' ? 'not serving' : (endpoint?.state ?? 'stopped');
      throw new UpstreamUnavailableError(`The server ${serverName} is not ready (${state}).`, {
        hint: 'Try again in a moment.',
        next: ['infra services status'],
        data: { server: serverName, state },
      });
    }
    const known = this.#known.get(serverName);
    if (known !== undefined && known.instanceId === endpoint.instanceId && known.port === endpoint.port) return known;
    // What still runs on the old connections may end there.
    void known?.pool.close();
    if (known !== undefined) this.#onAnew?.(serverName);
    const fresh: Known = {
      instanceId: endpoint.instanceId,
      port: endpoint.port,
      pool: new Pool(`http://127.0.0.1:${endpoint.port}`, {
        connectTimeout: connectTimeoutMs,
        keepAliveMaxTimeout: idleConnectionMs,
        // Each request has its own clock: a call by its tool's timeout, a stream by none.
        headersTimeout: 0,
        bodyTimeout: 0,
        allowH2: false,
      }),
      identityKey: createSecretKey(deriveIdentityKey(this.#identityRoot, endpoint.instanceId)),
    };
    this.#known.set(serverName, fresh);
    return fresh;
  }

  /** Connections to runs that are on record no more end when nothing runs on them. */
  #letGo(): void {
    for (const [name, known] of this.#known) {
      if (this.#directory.endpoint(`mcp:${name}`)?.instanceId === known.instanceId) continue;
      this.#known.delete(name);
      void known.pool.close();
      // Not only with the next request: while its circuit is open there is none.
      this.#onAnew?.(name);
    }
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    this.#off();
    const pools = [...this.#known.values()].map(({ pool }) => pool);
    this.#known.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}

function fail(handler: Dispatcher.DispatchHandler, error: unknown): void {
  // Without a request there is nothing that its controller could control.
  const controller = null as unknown as Dispatcher.DispatchController;
  handler.onResponseError?.(controller, error instanceof Error ? error : new Error(String(error)));
}
