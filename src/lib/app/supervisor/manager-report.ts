import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceManager } from '../../infra/process/service-manager.ts';
import { SupervisorClient } from './client.ts';
import type { SupervisorLog } from './service-host.ts';
import type { InstanceStatus } from './status.ts';

/** During a boot the manager is asked for so much more time, this often. In ms. */
const extendByMs = 60_000;
const extendEveryMs = 15_000;
const probeTimeoutMs = 10_000;

/**
 * Tells the service manager that started the supervisor how it is: booting, ready, alive, stopping. Signs of life come from
 * the path that serves: each is sent after the control socket has answered a connection of its own.
 */
export class ManagerReport {
  readonly #manager: ServiceManager;
  readonly #socket: string;
  readonly #log: SupervisorLog;
  readonly #over = new AbortController();
  readonly #booted = new AbortController();

  constructor(manager: ServiceManager, socket: string, log: SupervisorLog) {
    this.#manager = manager;
    this.#socket = socket;
    this.#log = log;
  }

  /** The boot has begun; until {@link ready} or {@link stopping} the manager is asked for time as long as we answer. */
  booting(): void {
    const signal = AbortSignal.any([this.#over.signal, this.#booted.signal]);
    void this.#repeat(extendEveryMs, signal, 'now', async () => {
      await this.#manager.notify(`EXTEND_TIMEOUT_USEC=${extendByMs * 1000}`, 'STATUS=Starting');
    });
  }

  /** The boot is over: units that wait for this one may start. */
  async ready(): Promise<void> {
    this.#booted.abort();
    const status = await this.#status().catch(() => 'Running'); // the first sign of life that fails is logged
    if (this.#over.signal.aborted) return;
    await this.#manager.notify('READY=1', `STATUS=${status}`);
    const { watchdogMs } = this.#manager;
    if (watchdogMs === undefined) return;
    // Half of the interval, as sd_watchdog_enabled(3) advises.
    void this.#repeat(watchdogMs / 2, this.#over.signal, 'later', async () => {
      await this.#manager.notify('WATCHDOG=1', `STATUS=${await this.#status()}`);
    });
  }

  /** A stop has begun, on whoever's order. Resolves when the manager knows; safe to call twice. */
  async stopping(): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    await this.#manager.notify('STOPPING=1', 'STATUS=Stopping');
  }

  /** Ends the signs of life, without a word. */
  close(): void {
    this.#over.abort();
  }

  async #repeat(ms: number, signal: AbortSignal, first: 'now' | 'later', work: () => Promise<void>): Promise<void> {
    let due = first === 'now';
    while (!signal.aborted) {
      try {
        if (due) await work();
      } catch (error) {
        // No sign of life without an answer: the manager ends us when too many are missing.
        this.#log.error({ err: error }, 'the control socket does not answer its own supervisor');
      }
      due = true;
      await delay(ms, undefined, { signal, ref: false }).catch(() => undefined); // the signal ends the loop
    }
  }

  /** Asks over the control socket, by a new connection, as any caller would. */
  async #status(): Promise<string> {
    const timeout = Math.min(probeTimeoutMs, (this.#manager.watchdogMs ?? Number.POSITIVE_INFINITY) / 4);
    return summary(await within(this.#ask(), timeout));
  }

  async #ask(): Promise<InstanceStatus> {
    const client = await SupervisorClient.connect(this.#socket);
    try {
      return await client.status();
    } finally {
      client.close();
    }
  }
}

function summary({ services, supervisor }: InstanceStatus): string {
  const ready = services.filter(({ state }) => state === 'ready').length;
  const bad = services.filter(({ state }) => state === 'failed' || state === 'unhealthy').map(({ name }) => name);
  const trouble = bad.length === 0 ? '' : `; failed: ${bad.join(', ')}`;
  return `${ready} of ${services.length} services ready${trouble}${supervisor.acting ? '' : '; the database is away'}`;
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const bound = new AbortController();
  const late = delay(ms, undefined, { signal: bound.signal }).then(() => {
    throw new Error(`no answer within ${Math.round(ms)} ms`);
  });
  late.catch(() => undefined); // its loser is told through the race, or aborted below
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    bound.abort();
  }
}
