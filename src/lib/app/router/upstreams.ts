import { createSecretKey, type KeyObject } from 'node:crypto';
import { Pool } from 'undici';
import { deriveIdentityKey } from '../../infra/security/identity-header.ts';
import { UpstreamUnavailableError } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { ServiceEndpoint } from '../supervisor/directory.ts';

/** One run of one server: its connections, and the key that it believes. */
export interface Upstream {
  readonly instanceId: ServiceInstanceId;
  readonly pool: Pool;
  readonly identityKey: KeyObject;
}

export interface Directory {
  endpoint(serviceName: string): ServiceEndpoint | undefined;
}

interface Known extends Upstream {
  readonly port: number;
}

const connectTimeoutMs = 2_000;

/** Kept-alive connections to the servers on loopback; a server that was started anew gets new ones. */
export class Upstreams {
  readonly #directory: Directory;
  readonly #identityRoot: Uint8Array;
  readonly #known = new Map<string, Known>();

  constructor(directory: Directory, identityRoot: Uint8Array) {
    this.#directory = directory;
    this.#identityRoot = identityRoot;
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
    const fresh: Known = {
      instanceId: endpoint.instanceId,
      port: endpoint.port,
      pool: new Pool(`http://127.0.0.1:${endpoint.port}`, {
        connectTimeout: connectTimeoutMs,
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

  /** Cuts all connections. */
  async close(): Promise<void> {
    const pools = [...this.#known.values()].map(({ pool }) => pool);
    this.#known.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}
