import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../infra/database/connection.ts';
import { bootId } from '../../infra/process/identity.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { CancelledError, ConflictError, NotFoundError } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { nearest } from '../../shared/nearest.ts';
import { errorToWire } from '../../shared/wire.ts';
import { Bookkeeping } from './bookkeeping.ts';
import { adoptOrClear, type BootHost, reconcileDatabase, refuseTakenPorts, type SupervisorLog } from './boot.ts';
import { DatabaseRecordFile } from './database-record.ts';
import { Fence } from './fence.ts';
import type { Journal } from './journal.ts';
import { ManagedService } from './managed-service.ts';
import { checkDependencies, inOrder } from './order.ts';
import type { SupervisionPolicy } from './policy.ts';
import { PortClaims } from './port-choice.ts';
import { Recorder } from './recorder.ts';
import { closeInterrupted, takeEpoch } from './repository.ts';
import type { Installation } from './run.ts';
import type { StateChange, SupervisedService } from './service-host.ts';
import type { BootState, InstanceStatus, ServicesResult } from './status.ts';

export interface SupervisorOptions {
  readonly installation: Installation;
  readonly runDir: string;
  readonly version: string;
  /** Where the API is reached; empty until the profile is read. */
  readonly url: () => string;
  readonly policy: SupervisionPolicy;
  readonly journal: Journal;
  readonly log: SupervisorLog;
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
export class Supervisor implements BootHost {
  readonly installation: Installation;
  readonly policy: SupervisionPolicy;
  readonly fence = new Fence();
  readonly journal: Journal;
  readonly log: SupervisorLog;
  readonly recorder: Recorder;
  readonly records: DatabaseRecordFile;
  readonly #options: SupervisorOptions;
  readonly #startedAt = new Date();
  readonly #phases: { name: string; ms: number }[] = [];
  readonly #services = new Map<string, ManagedService>();
  readonly #closing = new AbortController();
  readonly #now = new AbortController();
  /** Fired when a stop must go ahead although the database is away. */
  readonly #forced = new AbortController();
  readonly #ports: PortClaims;
  readonly #books: Bookkeeping;
  #store: Database | undefined;
  #state: BootState = 'booting';
  #booting: Promise<void> = Promise.resolve();
  #shutdown: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.installation = options.installation;
    this.policy = options.policy;
    this.journal = options.journal;
    this.log = options.log;
    this.records = new DatabaseRecordFile(options.runDir);
    this.recorder = new Recorder(this.fence, options.installation.id, options.policy.epochEveryMs, (error) => {
      this.log.error({ err: error }, 'a record could not be written');
    });
    const { id } = options.installation;
    this.#books = new Bookkeeping(id, this.recorder, this.records, options.log);
    this.#ports = new PortClaims({ installationId: id, waitMs: options.policy.portWaitMs });
    this.fence.onChange((state) => {
      if (state === 'held') this.log.info({ epoch: this.recorder.epoch }, 'the epoch is ours');
      else
        this.log.error(
          { err: this.fence.reason },
          state === 'lost' ? 'another supervisor took over' : 'the database is away',
        );
    });
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
    const { database, services } = await this.#phase('validate', async () => {
      const found = await steps.validate();
      const specs = [...(found.database === undefined ? [] : [found.database]), ...found.services];
      checkDependencies(specs);
      for (const spec of specs) this.#services.set(spec.name, new ManagedService(spec, this));
      await refuseTakenPorts(found.services, this.installation.id);
      return found;
    });
    if (database !== undefined) {
      await this.#phase('database', () => reconcileDatabase(this, this.service('database'), this.records));
    }
    const store = await this.#phase('migrate', () => steps.openStore(this.#closing.signal));
    this.#store = store;
    this.#checkOpen();
    const remaining = await this.#phase('reconcile', async () => {
      const holder = { pid: process.pid, host: hostname(), bootId: await bootId(), version: this.#options.version };
      this.recorder.begin(store, await takeEpoch(store, this.installation.id, holder));
      const names = await adoptOrClear(this, store, services, this.#books.stoppedOnPurpose);
      // What happened before there were rows: the database's own.
      for (const service of this.services) this.#books.record(service);
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
    for (const name of wanted) this.#books.stoppedOnPurpose.delete(name);
    await this.#startInOrder(wanted);
    return this.#result(wanted, ['ready']);
  }

  /** Stops services and what depends on them; all when none is named. The supervisor stays. */
  async stop(names?: readonly string[]): Promise<ServicesResult> {
    const wanted = this.#select(names, ({ name }) =>
      this.services.filter((s) => s.dependsOn.includes(name)).map((s) => s.name),
    );
    if (this.fence.state !== 'held' && this.fence.reason !== undefined) throw this.fence.reason;
    for (const name of wanted) this.#books.stoppedOnPurpose.add(name);
    await this.#stopInOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      this.#now.signal,
    );
    return this.#result(wanted, ['stopped']);
  }

  /** Restarts exactly the named services (all but the database when none is named), those that others depend on first. */
  async restart(names?: readonly string[]): Promise<ServicesResult> {
    const all = names ?? this.services.filter(({ spec }) => spec.kind !== 'database').map(({ name }) => name);
    const wanted = this.#select(all, () => []);
    for (const name of wanted) this.#books.stoppedOnPurpose.delete(name);
    const { parallelStarts } = this.policy;
    await inOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      { parallel: parallelStarts },
      (service) => service.restart(),
    );
    return this.#result(wanted, ['ready']);
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
      const quickly = AbortSignal.any([this.#now.signal, AbortSignal.timeout(this.policy.stopAllMs)]);
      await this.#forceWhenAway(quickly);
      const rows = this.services.filter(({ spec }) => spec.kind !== 'database');
      await this.#stopInOrder(rows, quickly);
      await this.#endStore();
      const database = this.services.find(({ spec }) => spec.kind === 'database');
      if (database !== undefined) await this.#stopInOrder([database], quickly);
      await this.#booting.catch(() => undefined); // its error has been reported by whoever booted
      await this.#store?.close();
    }
    this.recorder.close();
    this.journal.add({ type: 'stopped' });
  }

  /**
   * A stop that a person ordered is carried out even if the database stays away: the local lock is still ours, so nobody
   * else on this machine acts on these processes.
   */
  async #forceWhenAway(now: AbortSignal): Promise<void> {
    if (this.fence.state === 'held' || this.#store === undefined) return this.#forced.abort();
    const bound = AbortSignal.any([now, AbortSignal.timeout(fenceWaitMs)]);
    await this.fence.held(bound).catch(() => this.#forced.abort());
  }

  /** The last words to the database, before it is stopped itself. */
  async #endStore(): Promise<void> {
    const purposely = [...this.#books.stoppedOnPurpose];
    this.#books.stoppedOnPurpose.clear();
    for (const name of purposely) this.#books.record(this.service(name));
    const database = this.services.find(({ spec }) => spec.kind === 'database');
    if (database !== undefined) this.#books.recordStopped(database);
    await this.recorder.flush(fenceWaitMs);
    this.#forced.abort();
    this.recorder.close();
    await Promise.race([this.#store?.close(), delay(fenceWaitMs, undefined, { ref: false })]);
  }

  status(): InstanceStatus {
    return {
      instanceId: this.installation.id,
      root: this.installation.root,
      profile: this.installation.profile,
      supervisor: {
        pid: process.pid,
        version: this.#options.version,
        epoch: this.recorder.epoch,
        startedAt: this.#startedAt.toISOString(),
        state: this.#state,
        rss: process.memoryUsage.rss(),
        acting: this.fence.state === 'held',
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
    await inOrder(nodes, { parallel: this.policy.parallelStarts }, async (service) => {
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

  // What the services ask of their host.

  acting(service: SupervisedService): boolean {
    return service.spec.kind === 'database' || this.#forced.signal.aborted || this.fence.state === 'held';
  }

  async mayAct(service: SupervisedService, signal?: AbortSignal): Promise<void> {
    if (this.acting(service)) return;
    const either = signal === undefined ? this.#forced.signal : AbortSignal.any([signal, this.#forced.signal]);
    try {
      await this.fence.held(either);
    } catch (error) {
      if (signal?.aborted === true) throw error;
    }
  }

  claimPort(service: SupervisedService, signal: AbortSignal): Promise<number | undefined> {
    return this.#ports.claim(service.spec, signal);
  }

  reservePort(name: string, port: number | undefined): void {
    this.#ports.reserve(name, port);
  }

  changed(service: SupervisedService, change?: StateChange): void {
    if (change !== undefined) {
      const { reason, ...rest } = change;
      const why = reason === undefined ? {} : { reason };
      this.journal.add({ type: 'transition', service: service.name, ...rest, ...why, status: service.status() });
      const level =
        change.to === 'failed' ? 'error' : change.to === 'backoff' || change.to === 'unhealthy' ? 'warn' : 'info';
      const facts = {
        target: service.name,
        targetPid: service.process?.identity.pid,
        ...rest,
        ...why,
        generation: service.generation,
      };
      this.log[level](facts, `${service.name} is ${change.to}`);
    }
    this.#books.record(service, change);
  }

  ended(service: SupervisedService, instanceId: ServiceInstanceId): void {
    this.#ports.release(service.name);
    if (service.spec.kind === 'api') this.closeCalls(instanceId);
  }

  /** The calls that an API process left open get their outcome. */
  closeCalls(apiInstance: ServiceInstanceId): void {
    this.recorder.write(async (db) => {
      await closeInterrupted(db, apiInstance);
      return true;
    });
  }
}
