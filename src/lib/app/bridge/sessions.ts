import { randomUUID } from 'node:crypto';
import type { Identity } from '../../infra/security/identity-header.ts';
import type { KeepAlive } from './event-stream.ts';
import type { Instance } from './instance.ts';
import { JsonRpcMessage } from './message.ts';
import { ClientSession } from './session.ts';

export interface SessionsOptions {
  readonly keepAlive: KeepAlive;
  /** How long a session may have nothing open and nothing asked, in ms. */
  readonly idleMs: number;
  readonly limit: number;
  /** Most of one user; as many as there may be unless told. */
  readonly perUser?: number;
  /** A session is over, its instance may have more to do. */
  readonly onEnd: (session: ClientSession) => void;
}

const sweepMs = 30_000;

/** The legacy sessions of this process's clients, each bound to the user who began it. */
export class ClientSessions {
  readonly #options: SessionsOptions;
  readonly #byId = new Map<string, ClientSession>();
  /** The ones that began first come first. */
  readonly #byUser = new Map<string, Set<ClientSession>>();
  readonly #byInstance = new Map<Instance, Set<ClientSession>>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#endIdle(), sweepMs);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** An id that nobody can guess. */
  newId(): string {
    return randomUUID();
  }

  begin(
    id: string,
    identity: Identity,
    initialize: Readonly<Record<string, unknown>>,
    instance: Instance,
  ): ClientSession {
    const session = new ClientSession(id, identity, initialize, instance, this.#options.keepAlive);
    this.#byId.set(id, session);
    const others = this.#byInstance.get(instance);
    if (others === undefined) this.#byInstance.set(instance, new Set([session]));
    else others.add(session);
    const own = this.#byUser.get(session.user) ?? new Set();
    this.#byUser.set(session.user, own.add(session));
    const { limit, perUser = limit } = this.#options;
    if (own.size > perUser) this.#endOldest(own);
    else if (this.#byId.size > limit) this.#endOldest(this.#byId.values());
    return session;
  }

  /** To whom it does not belong, a session does not exist. */
  find(id: string, { sub }: Pick<Identity, 'sub'>): ClientSession | undefined {
    const session = this.#byId.get(id);
    if (session?.user !== sub) return undefined;
    session.touch();
    return session;
  }

  /** Those that were begun on an instance. */
  on(instance: Instance): ReadonlySet<ClientSession> {
    return this.#byInstance.get(instance) ?? none;
  }

  /** Nothing of the session is left: what it waits for is given up, what it listens to is ended. */
  end(session: ClientSession): void {
    if (!this.#byId.delete(session.id)) return;
    const own = this.#byUser.get(session.user);
    own?.delete(session);
    if (own?.size === 0) this.#byUser.delete(session.user);
    const others = this.#byInstance.get(session.instance);
    others?.delete(session);
    if (others?.size === 0) this.#byInstance.delete(session.instance);
    for (const reply of [...session.replies.values()]) reply.cancel('The session ended.');
    for (const [id, backend] of session.asked) {
      backend.respond(JsonRpcMessage.error(id, -32000, 'The session of the client ended.'), session.asker);
    }
    session.asked.clear();
    session.stopListening();
    session.instance.forget(session.id);
    this.#options.onEnd(session);
  }

  /** Another instance took the place of one that was stopped for lack of work: its sessions go on with the new one. */
  move(session: ClientSession, instance: Instance): void {
    const others = this.#byInstance.get(session.instance);
    others?.delete(session);
    if (others?.size === 0) this.#byInstance.delete(session.instance);
    session.instance = instance;
    session.asked.clear();
    const there = this.#byInstance.get(instance);
    if (there === undefined) this.#byInstance.set(instance, new Set([session]));
    else there.add(session);
  }

  /** Streams that would last for ever are ended. */
  stopListening(): void {
    for (const session of this.#byId.values()) session.stopListening();
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const session of [...this.#byId.values()]) this.end(session);
  }

  #endIdle(): void {
    for (const session of [...this.#byId.values()]) if (session.idleMs > this.#options.idleMs) this.end(session);
  }

  /** The one that has had nothing to do for longest; if all have, the one that began first. */
  #endOldest(among: Iterable<ClientSession>): void {
    let oldest: ClientSession | undefined;
    for (const session of among) {
      if (oldest === undefined || session.idleMs > oldest.idleMs) oldest = session;
    }
    if (oldest !== undefined) this.end(oldest);
  }
}

const none: ReadonlySet<ClientSession> = new Set();
