import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../infra/database/connection.ts';
import { bootId } from '../../infra/process/identity.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { CancelledError, ConflictError, NotFoundError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { errorToWire } from '../../shared/wire.ts';
import { adoptOrClear, type Booting, reconcileDatabase, refuseTakenPorts } from './boot.ts';
import type { Fence } from './fence.ts';
import type { Journal } from './journal.ts';
import { ManagedService } from './managed-service.ts';
import { checkDependencies, inOrder } from './order.ts';
import { takeEpoch } from './repository.ts';
import { RollingTurns } from './rolling.ts';
import type { SupervisorLog } from './service-host.ts';
import type { BootState, InstanceStatus, ServicesResult } from './status.ts';
import { SupervisorHost, type SupervisorHostOptions } from './supervisor-host.ts';

export interface SupervisorOptions extends SupervisorHostOptions {
  readonly version: string;
  /** Where the API is reached; empty until the profile is read. */
  readonly url: () => string;
  /** What the operator should know of where it runs; said at the boot and in the status. */
  readonly warnings?: readonly string[];
}

/** What the composition root knows how to do, in the order in which it is called. */
export interface BootSteps {
  /** Checks all configuration before anything is started. @throws every finding at once */
  validate(): Promise<{ readonly database: ServiceSpec | undefined; readonly services: readonly ServiceSpec[] }>;
  /** Provisions and migrates once the database answers, and opens it as the owner. */
  openStore(signal: AbortSignal): Promise<Database>;
}

/** How long a stop waits for a database that is away before it goes ahead without. */
const fenceWaitMs = 2_000;

/** One per installation: starts, watches and stops its services. The composition root holds the local lock meanwhile. */
export class Supervisor implements Booting {
  readonly host: SupervisorHost;
  readonly journal: Journal;
  readonly log: SupervisorLog;
  readonly #options: SupervisorOptions;
  readonly #startedAt = new Date();
  readonly #phases: { name: string; ms: number }[] = [];
  readonly #services = new Map<string, ManagedService>();
  readonly #closing = new AbortController();
  readonly #now = new AbortController();
  #store: Database | undefined;
  #state: BootState = 'booting';
  #booting: Promise<void> = Promise.resolve();
  #shutdown: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.host = new SupervisorHost(options);
    this.journal = options.journal;
    this.log = options.log;
  }

  /** Whether this supervisor may act. */
  get fence(): Fence {
    return this.host.fence;
  }
  /** Aborted when a shutdown has begun. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }
  get services(): readonly ManagedService[] {
    return [...this.#services.values()];
  }

  /**
   * Brings everything up. Services that fail are reported, not thrown; what is thrown means that the supervisor can't go on.
   * @throws ConfigInvalidError, PortTakenError before anything is started; DatabaseUnavailableError; CancelledError
   */
  boot(steps: BootSteps): Promise<void> {
    this.#booting = this.#boot(steps).catch((error: unknown) => {
      if (this.#state === 'booting') this.#state = 'failed';
      if (!this.#closing.signal.aborted) this.journal.add({ type: 'boot_failed', error: errorToWire(error) });
      throw error;
    });
    return this.#booting;
  }

  async #boot(steps: BootSteps): Promise<void> {
    const since = performance.now();
    for (const message of this.#options.warnings ?? []) {
      this.log.warn({}, message);
      this.journal.add({ type: 'log', level: 'warn', message });
    }
    const { database, services } = await this.#phase('validate', async () => {
      const found = await steps.validate();
      const specs = [...(found.database === undefined ? [] : [found.database]), ...found.services];
      checkDependencies(specs);
      for (const spec of specs) this.#services.set(spec.name, new ManagedService(spec, this.host));
      await refuseTakenPorts(found.services, this.host.installation.id);
      return found;
    });
    if (database !== undefined) {
      await this.#phase('database', () => reconcileDatabase(this, this.service('database'), this.host.records));
    }
    const store = await this.#phase('migrate', () => steps.openStore(this.#closing.signal));
    this.#store = store;
    this.#checkOpen();
    const remaining = await this.#phase('reconcile', async () => {
      const holder = { pid: process.pid, host: hostname(), bootId: await bootId(), version: this.#options.version };
      this.host.recorder.begin(store, await takeEpoch(store, this.host.installation.id, holder));
      const names = await adoptOrClear(this, store, services, this.host.books.stoppedOnPurpose);
      // What happened before there were rows: the database's own.
      for (const service of this.services) this.host.books.record(service);
      return names;
    });
    await this.#phase('services', () => this.#startInOrder(remaining));
    this.#checkOpen();
    this.#state = 'running';
    const failed = this.services
      .filter(({ state, desired }) => desired === 'running' && state === 'failed')
      .map(({ name }) => name);
    this.journal.add({ type: 'ready', ms: Math.round(performance.now() - since), failed });
  }

  async #phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const since = performance.now();
    const result = await work();
    const phase = { name, ms: Math.round(performance.now() - since) };
    this.#phases.push(phase);
    this.journal.add({ type: 'phase', ...phase });
    return result;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new CancelledError('The start was interrupted.');
  }

  /** Starts services and what they depend on; all when none is named. */
  async start(names?: readonly string[]): Promise<ServicesResult> {
    const wanted = this.#select(names, (service) => service.dependsOn);
    for (const name of wanted) this.host.books.stoppedOnPurpose.delete(name);
    await this.#startInOrder(wanted);
    return this.#result(wanted, ['ready']);
  }

  /** Stops services and what depends on them; all when none is named. The supervisor stays. `now` cuts the grace short. */
  async stop(names?: readonly string[], now?: AbortSignal): Promise<ServicesResult> {
    const wanted = this.#select(names, ({ name }) =>
      this.services.filter((s) => s.dependsOn.includes(name)).map((s) => s.name),
    );
    if (this.fence.state !== 'held' && this.fence.reason !== undefined) throw this.fence.reason;
    for (const name of wanted) this.host.books.stoppedOnPurpose.add(name);
    await this.#stopInOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      now === undefined ? this.#now.signal : AbortSignal.any([this.#now.signal, now]),
    );
    return this.#result(wanted, ['stopped']);
  }

  /** Restarts exactly the named services (all but the database when none is named), those that others depend on first. */
  async restart(names?: readonly string[]): Promise<ServicesResult> {
    const all = names ?? this.services.filter(({ spec }) => spec.kind !== 'database').map(({ name }) => name);
    const wanted = this.#select(all, () => []);
    for (const name of wanted) this.host.books.stoppedOnPurpose.delete(name);
    const { parallelStarts } = this.host.policy;
    const turns = new RollingTurns();
    await inOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      { parallel: parallelStarts },
      (service) => turns.restart(service),
    );
    return turns.report(this.#result(wanted, ['ready']));
  }

  /** Stops everything, in reverse order; resolves when it is done. Called again with `now`, it kills what is left. */
  shutdown(now = false): Promise<void> {
    if (now) this.#now.abort();
    this.#shutdown ??= this.#shutDown(now);
    return this.#shutdown;
  }

  async #shutDown(now: boolean): Promise<void> {
    this.#state = 'stopping';
    this.journal.add({ type: 'stopping', now });
    this.#closing.abort();
    // After a takeover the services are somebody else's.
    if (this.fence.state !== 'lost') {
      const quickly = AbortSignal.any([this.#now.signal, AbortSignal.timeout(this.host.policy.stopAllMs)]);
      await this.#forceWhenAway(quickly);
      const rows = this.services.filter(({ spec }) => spec.kind !== 'database');
      await this.#stopInOrder(rows, quickly);
      await this.#endStore();
      const database = this.services.find(({ spec }) => spec.kind === 'database');
      if (database !== undefined) await this.#stopInOrder([database], quickly);
      await this.#booting.catch(() => undefined); // its error has been reported by whoever booted
      await this.#store?.close();
    }
    this.host.recorder.close();
    await this.host.records.settled();
    this.journal.add({ type: 'stopped' });
  }

  /**
   * A stop that a person ordered is carried out even if the database stays away: the local lock is still ours, so nobody
   * else on this machine acts on these processes.
   */
  async #forceWhenAway(now: AbortSignal): Promise<void> {
    if (this.fence.state === 'held' || this.#store === undefined) return this.host.force();
    const bound = AbortSignal.any([now, AbortSignal.timeout(fenceWaitMs)]);
    await this.fence.held(bound).catch(() => this.host.force());
  }

  /** The last words to the database, before it is stopped itself. */
  async #endStore(): Promise<void> {
    const purposely = [...this.host.books.stoppedOnPurpose];
    this.host.books.stoppedOnPurpose.clear();
    for (const name of purposely) this.host.books.record(this.service(name));
    const database = this.services.find(({ spec }) => spec.kind === 'database');
    if (database !== undefined) this.host.books.recordStopped(database);
    await this.host.recorder.flush(fenceWaitMs);
    this.host.force();
    this.host.recorder.close();
    await Promise.race([this.#store?.close(), delay(fenceWaitMs, undefined, { ref: false })]);
  }

  status(): InstanceStatus {
    return {
      instanceId: this.host.installation.id,
      root: this.host.installation.root,
      profile: this.host.installation.profile,
      supervisor: {
        pid: process.pid,
        version: this.#options.version,
        epoch: this.host.recorder.epoch,
        startedAt: this.#startedAt.toISOString(),
        state: this.#state,
        rss: process.memoryUsage.rss(),
        acting: this.fence.state === 'held',
        clockShiftMs: Math.round(Date.now() - performance.timeOrigin - performance.now()),
        warnings: this.#options.warnings ?? [],
      },
      url: this.#options.url(),
      services: this.services.map((service) => service.status()),
      phases: this.#phases,
    };
  }

  /** @throws NotFoundError with the nearest names */
  service(name: string): ManagedService {
    const found = this.#services.get(name);
    if (found !== undefined) return found;
    const [like] = nearest(name, [...this.#services.keys()]);
    throw new NotFoundError(`There is no service ${name}.`, {
      hint: like === undefined ? 'See the services that are configured.' : `Did you mean ${like}?`,
      next: ['infra services status'],
      data: { name, services: [...this.#services.keys()] },
    });
  }

  #select(names: readonly string[] | undefined, along: (service: ManagedService) => readonly string[]): Set<string> {
    if (this.#state === 'stopping') throw new ConflictError('The system is being stopped.');
    if (this.#state === 'booting' && names === undefined) throw new ConflictError('The system is still starting.');
    const wanted = new Set<string>();
    const add = (name: string): void => {
      if (wanted.has(name)) return;
      wanted.add(name);
      for (const next of along(this.service(name))) add(next);
    };
    for (const name of names ?? this.#services.keys()) add(name);
    return wanted;
  }

  #result(names: ReadonlySet<string>, good: readonly string[]): ServicesResult {
    const services = this.services.filter(({ name }) => names.has(name)).map((service) => service.status());
    return { services, failed: services.filter(({ state }) => !good.includes(state)).map(({ name }) => name) };
  }

  async #startInOrder(names: ReadonlySet<string>): Promise<void> {
    const nodes = this.services.filter(({ name }) => names.has(name));
    await inOrder(nodes, { parallel: this.host.policy.parallelStarts }, async (service) => {
      if (this.#closing.signal.aborted || service.state === 'ready') return;
      const missing = service.dependsOn.find((name) => !['ready', 'unhealthy'].includes(this.service(name).state));
      if (missing === undefined) await service.start();
      else service.refuse(`${missing} is not ready`);
    });
  }

  async #stopInOrder(services: readonly ManagedService[], now: AbortSignal): Promise<void> {
    await inOrder(services, { parallel: services.length, reversed: true }, async (service) => {
      await service.stop({ now });
      await service.quiet();
    });
  }
}
