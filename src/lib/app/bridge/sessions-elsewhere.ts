import type { ServerResponse } from 'node:http';
import type { Asker, InstanceScope } from './backend.ts';
import type { Instance } from './instance.ts';
import { JsonRpcMessage, type RequestId } from './message.ts';
import type { InstancePool } from './pool.ts';
import { sendJson } from './reply.ts';
import type { Listening, Posted } from './service-options.ts';

const sessionNotFound = -32001;

/** The sessions that are none of the bridge's: the server behind may keep them itself. */
export class SessionsElsewhere {
  readonly #pool: Pick<InstancePool, 'ready' | 'acquire'>;
  readonly #scopeOf: (asker: Asker) => InstanceScope;
  readonly #outlive: boolean;

  /** @param outlive whether they outlive the server's instances here */
  constructor(
    pool: Pick<InstancePool, 'ready' | 'acquire'>,
    scopeOf: (asker: Asker) => InstanceScope,
    outlive: boolean,
  ) {
    this.#pool = pool;
    this.#scopeOf = scopeOf;
    this.#outlive = outlive;
  }

  /** A message of such a session. */
  async post({ req, res, body, message }: Posted, asker: Asker): Promise<void> {
    const id = message.kind === 'request' ? (message.id as RequestId) : null;
    await this.#relay({ req, res, body, asker }, id);
  }

  /** What has no body: its client listens, or ends it. */
  async other({ req, res, identity, credentials }: Listening): Promise<void> {
    const asker: Asker = { identity, session: undefined, era: 'legacy', credentials, headers: req.headers };
    await this.#relay({ req, res, body: undefined, asker }, null);
  }

  async #relay(exchange: Parameters<Instance['relay']>[0], id: RequestId | null): Promise<void> {
    const instance = await this.#keeper(exchange.asker);
    if (instance?.relays('legacy') === true) await instance.relay(exchange);
    else refuseSession(exchange.res, id);
  }

  /** The instance that may know of it. One that only knows of what it has begun is not started for it. */
  async #keeper(asker: Asker): Promise<Instance | undefined> {
    const scope = this.#scopeOf(asker);
    const { credentials } = asker;
    const opening = credentials === undefined ? {} : { credentials };
    const start = () => this.#pool.acquire(scope, opening, asker.identity.sub);
    const ready = this.#pool.ready(scope);
    const instance = ready !== undefined || !this.#outlive ? ready : await start().catch(() => undefined);
    await instance?.prepare?.().catch(() => undefined);
    return instance;
  }
}

/** 404 makes a client begin a new session (MCP 2025-11-25, Streamable HTTP, session management). */
export function refuseSession(res: ServerResponse, id: RequestId | null): void {
  sendJson(res, JsonRpcMessage.error(id, sessionNotFound, 'There is no such session.').text, {}, 404);
}
