import { hostname } from 'node:os';
import type { Database } from '../../infra/database/connection.ts';
import { bootId } from '../../infra/process/identity.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import {
  type AppError,
  CancelledError,
  ConfigInvalidError,
  ConflictError,
  NotFoundError,
} from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { errorToWire } from '../../shared/wire.ts';
import { adoptOrClear, reconcileDatabase } from './boot.ts';
import { type BootSteps, type Configured, type KeptConfiguration, specsOf } from './configured.ts';
import type { Fence } from './fence.ts';
import { FilesRecord } from './files-record.ts';
import type { Journal } from './journal.ts';
import { anythingRuns, isRefusal, keepRunning, notStartedBecause } from './keep-running.ts';
import { endStore, forceWhenAway } from './last-words.ts';
import { checked, type ReconcileOptions, type Reconciling, reconcileLive } from './live-reconcile.ts';
import { ManagedService } from './managed-service.ts';
import { inOrder } from './order.ts';
import { takeEpoch } from './repository.ts';
import { RollingTurns, withOvertaken } from './rolling.ts';
import type { SupervisorLog } from './service-host.ts';
import type { BootState, ConfigurationStatus, InstanceStatus, ReconcileResult, ServicesResult } from './status.ts';
import { SupervisorHost, type SupervisorHostOptions } from './supervisor-host.ts';

export interface SupervisorOptions extends SupervisorHostOptions {
  readonly version: string;
  /** Where the API is reached; empty until the profile is read. */
  readonly url: () => string;
  /** What the operator should know of where it runs; said at the boot and in the status. */
  readonly warnings?: readonly string[];
  /** Called when everything has ended, before that is told. */
  readonly ended?: () => Promise<void>;
}

/** One per installation: starts, watches and stops its services. The composition root holds the local lock meanwhile. */
export class Supervisor implements Reconciling {
  readonly host: SupervisorHost;
  readonly journal: Journal;
  readonly log: SupervisorLog;
  readonly files: FilesRecord;
  readonly #options: SupervisorOptions;
  readonly #startedAt = new Date();
  readonly #phases: { name: string; ms: number }[] = [];
  #services = new Map<string, ManagedService>();
  readonly #closing = new AbortController();
  readonly #now = new AbortController();
  #store: Database | undefined;
  #state: BootState = 'booting';
  #booting: Promise<void> = Promise.resolve();
  #steps: BootSteps | undefined;
  #reconciling: Promise<unknown> = Promise.resolve();
  #configuration: ConfigurationStatus = { valid: true, since: this.#startedAt.toISOString() };
  readonly standIns = new Set<string>();
  #shutdown: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.host = new SupervisorHost(options);
    this.journal = options.journal;
    this.log = options.log;
    const { journal, log, installation } = options;
    this.files = new FilesRecord({ journal, log, installationId: installation.id, recorder: this.host.recorder });
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

  get state(): BootState {
    return this.#state;
  }
  get store(): Database | undefined {
    return this.#store;
  }

  /**
   * Brings everything up; under an invalid configuration only takes over what runs. Services that fail are reported, not thrown; what is thrown means that the supervisor can't go on.
   * @throws ConfigInvalidError, PortTakenError before anything is started; DatabaseUnavailableError; CancelledError
   */
  boot(steps: BootSteps): Promise<void> {
    // After a takeover what it waits for may never come.
    const lost = this.fence.lost().then(() => {
      throw new CancelledError('Another supervisor took over during the start.');
    });
    this.#booting = Promise.race([this.#boot(steps), lost]).catch((error: unknown) => {
      if (this.#state === 'booting') this.#state = 'failed';
      if (!this.#closing.signal.aborted) this.journal.add({ type: 'boot_failed', error: errorToWire(error) });
      throw error;
    });
    return this.#booting;
  }

  /** Resolves when the boot is over. Rejects with its error, or with the signal's reason when that fires first. */
  async booted(signal: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<never>();
    const abort = (): void => ended.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await Promise.race([this.#booting, ended.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #boot(steps: BootSteps): Promise<void> {
    const since = performance.now();
    for (const message of this.#options.warnings ?? []) {
      this.log.warn({}, message);
      this.journal.add({ type: 'log', level: 'warn', message });
    }
    this.#steps = steps;
    const found = await this.#phase('validate', () => this.#validate(steps));
    const refused = 'refused' in found ? found.refused : undefined;
    const { database } = found;
    if (database !== undefined) {
      await this.#phase('database', () =>
        reconcileDatabase(this, this.service('database'), this.host.records, refused !== undefined),
      );
    }
    const store = await this.#phase('migrate', () => steps.openStore(this.#closing.signal));
    this.#store = store;
    this.#checkOpen();
    const remaining = await this.#phase('reconcile', async () => {
      const holder = { pid: process.pid, host: hostname(), bootId: await bootId(), version: this.#options.version };
      this.host.recorder.begin(store, await takeEpoch(store, this.host.installation.id, holder));
      const names =
        'refused' in found
          ? await this.#keepRunning(store, found)
          : await adoptOrClear(this, store, found.services, this.host.books.stoppedOnPurpose);
      // What happened before there were rows: the database's own.
      for (const service of this.services) this.host.books.record(service);
      return names;
    });
    await this.#phase('services', () => this.#startInOrder(remaining));
    this.#checkOpen();
    this.#state = 'running';
    if (refused === undefined) this.files.begin();
    const failed = this.services
      .filter(({ state, desired }) => desired === 'running' && state === 'failed')
      .map(({ name }) => name);
    const why = refused === undefined ? {} : { refused: errorToWire(refused) };
    this.journal.add({ type: 'ready', ms: Math.round(performance.now() - since), failed, ...why });
  }

  /** @throws what refuses the configuration, when nothing runs that could be kept */
  async #validate(steps: BootSteps): Promise<Configured | (KeptConfiguration & { readonly refused: AppError })> {
    try {
      const configured = await checked(steps, this.host.installation.id);
      await configured.accept?.();
      for (const spec of specsOf(configured)) this.add(spec);
      return configured;
    } catch (error) {
      if (!isRefusal(error) || !(await anythingRuns(this.host.installation.id))) throw error;
      const kept = await steps.kept?.();
      if (kept === undefined) throw error;
      if (kept.database !== undefined) this.add(kept.database);
      return { ...kept, refused: error };
    }
  }

  /** @returns no names: nothing is to be started */
  async #keepRunning(store: Database, kept: KeptConfiguration & { readonly refused: AppError }): Promise<Set<string>> {
    const { refused } = kept;
    const issues = refused instanceof ConfigInvalidError ? { issues: refused.issues } : {};
    this.#configuration = { valid: false, since: new Date().toISOString(), error: errorToWire(refused), ...issues };
    this.log.error({ err: refused }, 'the configuration is invalid: what runs is kept, and nothing is started');
    await keepRunning(this, store, kept, notStartedBecause(refused));
    for (const { name, spec } of this.services) if (spec.kind !== 'database') this.standIns.add(name);
    return new Set();
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
    await this.#heal();
    const wanted = this.#select(names, (service) => service.dependsOn);
    for (const name of wanted) this.host.books.stoppedOnPurpose.delete(name);
    await this.#startInOrder(wanted);
    return withOvertaken(this.#result(wanted, ['ready']), (name) => this.#overruled({ name }));
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
      AbortSignal.any([this.#now.signal, AbortSignal.timeout(this.host.policy.stopAllMs), ...(now ? [now] : [])]),
      // Whoever started it meanwhile had the last word.
      ({ name }) => this.host.books.stoppedOnPurpose.has(name),
    );
    const started = (name: string): boolean => !this.host.books.stoppedOnPurpose.has(name);
    return withOvertaken(this.#result(wanted, ['stopped']), (name) => this.#state === 'running' && started(name));
  }

  /** Restarts exactly the named services (all but the database when none is named), those that others depend on first. */
  async restart(names?: readonly string[]): Promise<ServicesResult> {
    await this.#heal();
    const all = names ?? this.services.filter(({ spec }) => spec.kind !== 'database').map(({ name }) => name);
    const wanted = this.#select(all, () => []);
    for (const name of wanted) this.host.books.stoppedOnPurpose.delete(name);
    const { parallelStarts } = this.host.policy;
    const turns = new RollingTurns();
    await inOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      { parallel: parallelStarts },
      async (service) => {
        if (!this.#overruled(service)) await turns.restart(service);
      },
    );
    return withOvertaken(turns.report(this.#result(wanted, ['ready'])), (name) => this.#overruled({ name }));
  }

  /**
   * Brings what runs to what is configured now; with `dryRun` only says what that would take. One at a time.
   * @throws see {@link reconcileLive}; an invalid configuration is a result, not an error
   */
  reconcile(options: ReconcileOptions = {}): Promise<ReconcileResult> {
    const turn = this.#reconciling.then(() => {
      const steps = this.#steps;
      if (steps === undefined) throw new ConflictError('The system is still starting.');
      return this.files.watching(() => reconcileLive(this, steps, options));
    });
    this.#reconciling = turn.catch(() => undefined); // told to whoever asked; the next one has its own turn
    return turn;
  }

  /** Under a configuration that was invalid at the boot nothing can be started: it is looked at again first. */
  async #heal(): Promise<void> {
    if (this.#configuration.valid) return;
    const { valid, issues = [] } = await this.reconcile();
    if (!valid) throw new ConfigInvalidError(issues, { hint: 'Nothing was started.' });
  }

  add(spec: ServiceSpec): ManagedService {
    const service = new ManagedService(spec, this.host);
    this.#services.set(spec.name, service);
    return service;
  }

  remove(name: string): void {
    this.#services.delete(name);
    this.standIns.delete(name);
  }

  accepted(specs: readonly ServiceSpec[]): void {
    const before = this.#services;
    this.#services = new Map();
    for (const spec of specs) {
      const known = before.get(spec.name);
      if (known === undefined) this.add(spec);
      else this.#services.set(spec.name, known);
      known?.respec(spec);
    }
    // What is no longer wanted and could not be ended stays in sight.
    for (const [name, service] of before) if (!this.#services.has(name)) this.#services.set(name, service);
    this.standIns.clear();
    if (!this.#configuration.valid) this.#configuration = { valid: true, since: new Date().toISOString() };
  }

  async bringUp(start: ReadonlySet<string>, replace: ReadonlySet<string>): Promise<readonly string[]> {
    const turns = new RollingTurns();
    await this.#startInOrder(new Set([...start, ...replace]), (service) =>
      replace.has(service.name) ? turns.restart(service) : undefined,
    );
    return turns.report(this.#result(replace, ['ready'])).failed.filter((name) => {
      return !this.host.books.stoppedOnPurpose.has(name);
    });
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
    // After a takeover, be it in the midst of this, the services are somebody else's.
    if (this.fence.state !== 'lost') await Promise.race([this.#endEverything(), this.fence.lost()]);
    if (this.fence.state !== 'lost') await this.#options.ended?.();
    this.host.recorder.close();
    await this.host.records.settled();
    this.journal.add({ type: 'stopped' });
  }

  async #endEverything(): Promise<void> {
    const quickly = AbortSignal.any([this.#now.signal, AbortSignal.timeout(this.host.policy.stopAllMs)]);
    await forceWhenAway(this.host, this.#store, quickly);
    const rows = this.services.filter(({ spec }) => spec.kind !== 'database');
    await this.#stopInOrder(rows, quickly);
    await endStore(this.host, this.services, this.#store);
    const database = this.services.find(({ spec }) => spec.kind === 'database');
    if (database !== undefined) await this.#stopInOrder([database], quickly);
    await this.#booting.catch(() => undefined); // its error has been reported by whoever booted
    await this.#store?.close();
  }

  status(): InstanceStatus {
    this.host.sampler.refresh();
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
        configuration: this.#configuration,
        ...(this.files.status === undefined ? {} : { files: this.files.status }),
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

  /** @param other what is done to a service instead of a start; `undefined` for what is started */
  async #startInOrder(
    names: ReadonlySet<string>,
    other: (service: ManagedService) => Promise<void> | undefined = () => undefined,
  ): Promise<void> {
    const nodes = this.services.filter(({ name }) => names.has(name));
    await inOrder(nodes, { parallel: this.host.policy.parallelStarts }, async (service) => {
      if (this.#overruled(service)) return;
      const done = other(service);
      if (done !== undefined) return await done;
      if (service.state === 'ready') return;
      const missing = service.dependsOn.find((name) => !['ready', 'unhealthy'].includes(this.service(name).state));
      if (missing === undefined) await service.start();
      else service.refuse(`${missing} is not ready`);
    });
  }

  /** Whether a stop came after the order that is being carried out. */
  #overruled({ name }: { readonly name: string }): boolean {
    return this.#closing.signal.aborted || this.host.books.stoppedOnPurpose.has(name);
  }

  async #stopInOrder(
    services: readonly ManagedService[],
    now: AbortSignal,
    still: (service: ManagedService) => boolean = () => true,
  ): Promise<void> {
    await inOrder(services, { parallel: services.length, reversed: true }, async (service) => {
      if (!still(service)) return;
      await service.stop({ now });
      await service.quiet();
    });
  }
}
