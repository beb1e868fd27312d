import { AppError, UpstreamUnavailableError } from '../../shared/errors.ts';
import type { BackendEnded, BackendFactory, InstanceScope, Opening, Translate } from './backend.ts';
import { startFailed } from './faults.ts';
import { Instance } from './instance.ts';
import type { JsonRpcMessage } from './message.ts';

export interface PoolOptions {
  readonly factory: BackendFactory;
  readonly translate: Translate;
  /** How long an instance may have nothing to do before it is stopped, in ms; 0 for ever. */
  readonly idleStopMs: number;
  /** Most instances at once. */
  readonly limit: number;
  /** Most of them that are for one user; as many as there may be unless told. */
  readonly perUser?: number;
  readonly listener: PoolListener;
}

export interface PoolListener {
  onMessage(instance: Instance, message: JsonRpcMessage, session: string | undefined): void;
  /** @param stopped whether it was stopped by us and had nothing to do */
  onEnd(instance: Instance, reason: BackendEnded, stopped: boolean): void;
  /** Hears of each try to start one that failed. */
  onFailed?(error: unknown): void;
}

/** Starts that failed one after another, for one scope. */
interface Failures {
  readonly count: number;
  readonly until: number;
  readonly error: unknown;
  /** Of what a user brought: with something else it may well start. */
  readonly key: string | undefined;
}

interface Slot {
  /** Digest of what a user brought. */
  readonly key: string | undefined;
  /** Whose it is, where it is for one user or one session. */
  readonly owner: string | undefined;
  opening: Promise<Instance>;
  instance: Instance | undefined;
  stopped: boolean;
}

/** After a failed start the next one waits so long, twice as long after each further one, in ms. */
const backoffMs = { first: 500, most: 30_000 };
/** An instance that ends so soon after its start counts as one that did not start, in ms. */
const soonMs = 5_000;
/** How long requests on an instance that is replaced may go on, in ms. */
const drainMs = 60_000;
const unopened: Promise<Instance> = Promise.resolve() as Promise<never>;
/** How often it is looked for idle instances: so many times in the time that one may be idle, within bounds, in ms. */
const sweepShare = 4;
const sweepMs = { least: 50, most: 5_000 };

/** The instances of the server behind: started when they are needed, stopped when they are not. */
export class InstancePool {
  readonly #options: PoolOptions;
  readonly #slots = new Map<string, Slot>();
  /** Replaced, but still at work. */
  readonly #leaving = new Set<Instance>();
  readonly #ending = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  readonly #failures = new Map<string, Failures>();
  readonly #sweep: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    if (options.idleStopMs > 0) {
      const every = Math.min(sweepMs.most, Math.max(sweepMs.least, options.idleStopMs / sweepShare));
      this.#sweep = setInterval(() => this.#stopIdle(), every);
      this.#sweep.unref();
    }
  }

  get size(): number {
    return this.#slots.size + this.#leaving.size;
  }

  /** The instance of a scope, if it runs already. */
  ready(scope: InstanceScope): Instance | undefined {
    const slot = this.#slots.get(nameOf(scope));
    return slot !== undefined && slot.key === keyOf(scope) ? slot.instance : undefined;
  }

  /**
   * The instance of a scope, started if need be.
   * @param owner who asks
   * @throws what the start threw; also for a while after it, without another try; UpstreamUnavailableError when there are too many
   */
  async acquire(scope: InstanceScope, opening: Opening, owner?: string): Promise<Instance> {
    const name = nameOf(scope);
    const there = this.#slots.get(name);
    if (there !== undefined && there.key === keyOf(scope)) return await there.opening;
    this.#checkOpen();
    this.#checkBackoff(name, keyOf(scope));
    if (there !== undefined) this.#retire(name, there);
    const whose = scope.kind === 'shared' ? undefined : owner;
    await this.#makeRoom(whose);
    this.#checkOpen();
    const since = this.#slots.get(name);
    if (since !== undefined && since.key === keyOf(scope)) return await since.opening;
    const slot: Slot = { key: keyOf(scope), owner: whose, opening: unopened, instance: undefined, stopped: false };
    slot.opening = this.#open(name, slot, scope, opening);
    this.#slots.set(name, slot);
    try {
      return await slot.opening;
    } catch (error) {
      if (this.#slots.get(name) === slot) this.#slots.delete(name);
      throw error;
    }
  }

  /** Ends the instance that was for one session alone. */
  async release(session: string): Promise<void> {
    const name = nameOf({ kind: 'session', session });
    const slot = this.#slots.get(name);
    if (slot !== undefined) await this.#stop(name, slot);
  }

  /** Ends all; nothing is started from now on. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#abort.abort();
    clearInterval(this.#sweep);
    for (const [name, slot] of this.#slots) void this.#stop(name, slot);
    for (const instance of this.#leaving) void this.#follow(instance.close());
    // What ends may have been on its way to its end before, or out of its start into it.
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }

  async #open(name: string, slot: Slot, scope: InstanceScope, opening: Opening): Promise<Instance> {
    let instance: Instance | undefined;
    let early: BackendEnded | undefined;
    const { factory, translate, listener } = this.#options;
    try {
      const backend = await factory.open(
        scope,
        { ...opening, signal: this.#abort.signal },
        {
          onMessage: (message, session) => instance?.hear(message, session),
          onEnd: (reason) => {
            if (instance === undefined) early = reason;
            else this.#onEnd(name, instance, reason);
          },
        },
      );
      if (early !== undefined) throw startFailed(early);
      instance = new Instance(scope, backend, translate, (own) => ({
        onMessage: (message, session) => listener.onMessage(own, message, session),
      }));
      slot.instance = instance;
      return instance;
    } catch (error) {
      this.#failed(name, error, slot.key);
      if (!this.#closing) listener.onFailed?.(error);
      throw error;
    }
  }

  #onEnd(name: string, instance: Instance, reason: BackendEnded): void {
    instance.end(reason);
    this.#leaving.delete(instance);
    const slot = this.#slots.get(name);
    const stopped = slot === undefined || slot.stopped || slot.instance !== instance;
    if (slot?.instance === instance) this.#slots.delete(name);
    if (stopped) this.#failures.delete(failureName(name));
    else if (performance.now() - instance.startedAt < soonMs) {
      // Whoever comes next is told why, but not what the program wrote about those before.
      this.#failed(name, startFailed(instance.served ? { ...reason, stderr: '' } : reason), keyOf(instance.scope));
    } else this.#failures.delete(failureName(name));
    this.#options.listener.onEnd(instance, reason, stopped);
  }

  #failed(name: string, error: unknown, of: string | undefined): void {
    // What is wrong with the credentials is no fault of the server: whoever has better ones is let through at once.
    if (this.#closing || (error instanceof AppError && isAboutCredentials(error))) return;
    const key = failureName(name);
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const wait = Math.min(backoffMs.most, backoffMs.first * 2 ** (count - 1));
    this.#failures.delete(key);
    this.#failures.set(key, { count, until: performance.now() + wait, error, key: of });
    // Of users who came once and never again.
    if (this.#failures.size > this.#options.limit) this.#failures.delete(this.#failures.keys().next().value ?? '');
  }

  #checkOpen(): void {
    if (!this.#closing) return;
    throw new UpstreamUnavailableError('The server is stopping.', { hint: 'Try again in a moment.' });
  }

  #checkBackoff(name: string, key: string | undefined): void {
    const failures = this.#failures.get(failureName(name));
    if (failures !== undefined && failures.key === key && performance.now() < failures.until) throw failures.error;
  }

  /** Another key of the same user: what runs goes on, what comes goes to the new instance. */
  #retire(name: string, slot: Slot): void {
    this.#slots.delete(name);
    const leave = async (): Promise<void> => {
      const instance = await slot.opening.catch(() => undefined);
      if (instance === undefined || instance.ended !== undefined) return;
      this.#leaving.add(instance);
      if (!this.#closing) await instance.drained(drainMs);
      await instance.close();
    };
    void this.#follow(leave());
  }

  /** One user's make room for each other before they take the room of others. */
  async #makeRoom(owner: string | undefined): Promise<void> {
    const { limit, perUser = limit } = this.#options;
    const own = owner === undefined ? [] : [...this.#slots].filter(([, slot]) => slot.owner === owner);
    if (own.length < perUser && this.size < limit) return;
    const idle = (own.length < perUser ? [...this.#slots] : own)
      .filter(([, { instance }]) => instance !== undefined && instance.running === 0)
      .sort(([, one], [, other]) => (other.instance?.idleMs ?? 0) - (one.instance?.idleMs ?? 0))[0];
    if (idle === undefined) {
      const times = own.length < perUser ? `${this.size} times` : `${own.length} times for you`;
      throw new UpstreamUnavailableError(`The server runs ${times} already, and each has something to do.`, {
        hint: 'Try again in a moment.',
      });
    }
    await this.#stop(...idle);
  }

  #stopIdle(): void {
    for (const [name, slot] of this.#slots) {
      const { instance } = slot;
      if (instance !== undefined && instance.idleMs >= this.#options.idleStopMs) void this.#stop(name, slot);
    }
  }

  #stop(name: string, slot: Slot): Promise<void> {
    slot.stopped = true;
    // From now on who asks gets a new one.
    if (this.#slots.get(name) === slot) this.#slots.delete(name);
    return this.#follow(this.#end(slot));
  }

  async #end(slot: Slot): Promise<void> {
    const instance = await slot.opening.catch(() => undefined);
    if (instance === undefined) return;
    this.#leaving.add(instance);
    await instance.close();
    this.#leaving.delete(instance);
  }

  /** Remembers what has to be over before everything is. */
  #follow(ending: Promise<void>): Promise<void> {
    const followed = ending.finally(() => this.#ending.delete(followed));
    this.#ending.add(followed);
    return followed;
  }
}

function isAboutCredentials({ data: { reason } }: AppError): boolean {
  return reason === 'upstream_unauthorized' || reason === 'upstream_forbidden';
}

function nameOf(scope: InstanceScope): string {
  if (scope.kind === 'shared') return 'shared';
  return scope.kind === 'session' ? `session ${scope.session}` : `user ${scope.user}`;
}

/** Each session is a scope of its own: what keeps one from starting keeps the next one, too. */
function failureName(name: string): string {
  return name.startsWith('session ') ? 'session' : name;
}

function keyOf(scope: InstanceScope): string | undefined {
  return scope.kind === 'user' ? scope.key : undefined;
}
