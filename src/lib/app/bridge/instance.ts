import {
  type Asker,
  type Backend,
  type BackendEnded,
  type BackendListener,
  type Era,
  type Hearer,
  type HttpExchange,
  type InstanceScope,
  type PendingRequest,
  systemUser,
  type Translate,
  type Translated,
} from './backend.ts';
import type { JsonRpcMessage } from './message.ts';
import { TaskWatch } from './task-watch.ts';

/** One instance of the server behind, with who uses it and since when nobody does. */
export class Instance implements Backend {
  readonly scope: InstanceScope;
  readonly startedAt = performance.now();
  readonly #backend: Backend;
  readonly #translate: Translate;
  readonly #listener: Pick<BackendListener, 'onMessage'>;
  #translated: Translated | undefined;
  #other: Instance | undefined;
  #running = 0;
  #lastActive = performance.now();
  #ended: BackendEnded | undefined;
  #idle: (() => void) | undefined;
  #served = false;
  readonly #tasks = new TaskWatch();

  /** @param listener of legacy clients: modern ones have no stream for what belongs to no request */
  constructor(
    scope: InstanceScope,
    backend: Backend,
    translate: Translate,
    listener: (instance: Instance) => Pick<BackendListener, 'onMessage'>,
  ) {
    this.scope = scope;
    this.#backend = backend;
    this.#translate = translate;
    this.#listener = listener(this);
  }

  get era(): Era {
    return this.#backend.era;
  }

  get initialized(): Readonly<Record<string, unknown>> {
    return this.#backend.initialized;
  }

  get ended(): BackendEnded | undefined {
    return this.#ended;
  }

  /** What has to be over before the first legacy client gets it; absent when nothing has. */
  get prepare(): (() => Promise<void>) | undefined {
    return this.#backend.prepare;
  }

  /** Whether a user has asked something of it. */
  get served(): boolean {
    return this.#served || this.#other?.served === true;
  }

  /** Requests that wait for their answers. */
  get running(): number {
    return this.#running + (this.#other?.running ?? 0);
  }

  /** For how long nothing has been asked of it, in ms; 0 while something is. */
  get idleMs(): number {
    const own = this.#running > 0 || this.#tasks.busy ? 0 : performance.now() - this.#lastActive;
    return Math.min(own, this.#other?.idleMs ?? own);
  }

  /** The same for clients of one era. */
  for(era: Era): Backend {
    const native = this.#native(era);
    if (native !== undefined) return native;
    this.#translated ??= this.#translate(this, era, {
      onMessage: (message, session) => {
        if (era === 'legacy') this.#listener.onMessage(message, session);
      },
      onEnd: () => undefined,
    });
    return this.#translated;
  }

  /** What the backend says that belongs to no request. */
  hear(message: JsonRpcMessage, session: string | undefined): void {
    if (this.#other !== undefined) {
      this.#other.hear(message, session);
      return;
    }
    if (this.era === 'legacy') this.#listener.onMessage(message, session);
    if (message.kind === 'notification') this.#translated?.hears.onMessage(message, session);
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    this.#running += 1;
    this.#served ||= asker.identity.sub !== systemUser;
    let open = true;
    const done = (): boolean => {
      if (!open) return false;
      open = false;
      this.#settled();
      return true;
    };
    const pending = this.#backend.request(request, asker, {
      onMessage: (message) => {
        if (open) hearer.onMessage(message);
      },
      onAnswer: (answer) => {
        this.#tasks.note(answer);
        if (done()) hearer.onAnswer(answer);
      },
    });
    return {
      cancel: (reason) => {
        if (done()) pending.cancel(reason);
      },
    };
  }

  notify(notification: JsonRpcMessage, asker: Asker): void {
    this.#lastActive = performance.now();
    this.#backend.notify(notification, asker);
  }

  respond(response: JsonRpcMessage, asker: Asker): void {
    this.#backend.respond(response, asker);
  }

  /** Whether it takes whole exchanges of clients of an era. @param single outside of a session */
  relays(era: Era, single = false): boolean {
    const backend = era === this.era ? this.#backend : this.#backend.other;
    if (backend?.era !== era || backend.relay === undefined) return false;
    return !single || era === 'modern' || backend.relaysSingle === true;
  }

  async relay(exchange: HttpExchange): Promise<void> {
    this.#running += 1;
    const { era } = exchange.asker;
    try {
      await (era === this.era ? this.#backend : this.#backend.other)?.relay?.(exchange);
    } finally {
      this.#settled();
    }
  }

  forget(session: string): void {
    this.#translated?.forget?.(session);
    this.#backend.other?.forget?.(session);
    this.#backend.forget?.(session);
  }

  async close(): Promise<void> {
    await this.#backend.other?.close();
    await this.#backend.close();
  }

  /** Resolves when nothing runs on it any more, at once or after `ms` at the latest. */
  async drained(ms: number): Promise<void> {
    if (this.running === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Called by the pool when it is over. */
  end(reason: BackendEnded): void {
    this.#ended = reason;
    this.#translated?.hears.onEnd(reason);
  }

  /** The server itself, where it speaks an era. */
  #native(era: Era): Instance | undefined {
    if (era === this.era) return this;
    const { other } = this.#backend;
    if (other?.era !== era) return undefined;
    this.#other ??= new Instance(this.scope, other, this.#translate, () => this.#listener);
    return this.#other;
  }

  #settled(): void {
    this.#running -= 1;
    this.#lastActive = performance.now();
    if (this.#running === 0) this.#idle?.();
  }
}
