import type { Database } from '../../infra/database/connection.ts';
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
import type { BootSteps } from './configured.ts';
import type { Fence } from './fence.ts';
import { FilesRecord } from './files-record.ts';
import type { Journal } from './journal.ts';
import { endStore, forceWhenAway } from './last-words.ts';
import { type ReconcileOptions, type Reconciling, reconcileLive } from './live-reconcile.ts';
import { ManagedService } from './managed-service.ts';
import { inOrder } from './order.ts';
import { RollingTurns, withOvertaken } from './rolling.ts';
import type { SupervisorLog } from './service-host.ts';
import { overruled, reached, resultOf, startInOrder, stopInOrder } from './start-and-stop.ts';
import { type StartingUp, startUp } from './start-up.ts';
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
export class Supervisor implements Reconciling, StartingUp {
  readonly host: SupervisorHost;
  readonly journal: Journal;
  readonly log: SupervisorLog;
  readonly files: FilesRecord;
  readonly #options: SupervisorOptions;
  readonly #startedAt = new Date();
  readonly phases: { name: string; ms: number }[] = [];
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

  get version(): string {
    return this.#options.version;
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
    const refused = await startUp(this, steps);
    this.#state = 'running';
    if (refused === undefined) this.files.begin();
    const failed = this.services
      .filter(({ state, desired }) => desired === 'running' && state === 'failed')
      .map(({ name }) => name);
    const why = refused === undefined ? {} : { refused: errorToWire(refused) };
    this.journal.add({ type: 'ready', ms: Math.round(performance.now() - since), failed, ...why });
  }

  opened(store: Database): void {
    this.#store = store;
  }

  refused(error: AppError): void {
    const issues = error instanceof ConfigInvalidError ? { issues: error.issues } : {};
    this.#configuration = { valid: false, since: new Date().toISOString(), error: errorToWire(error), ...issues };
  }

  /** Starts services and what they depend on; all when none is named. */
  async start(names?: readonly string[]): Promise<ServicesResult> {
    await this.#heal();
    const wanted = this.#select(names, (service) => service.dependsOn);
    for (const name of wanted) this.host.books.stoppedOnPurpose.delete(name);
    await startInOrder(this, wanted);
    return withOvertaken(resultOf(this, wanted, ['ready']), (name) => overruled(this, name));
  }

  /** Stops services and what depends on them; all when none is named. The supervisor stays. `now` cuts the grace short. */
  async stop(names?: readonly string[], now?: AbortSignal): Promise<ServicesResult> {
    const wanted = this.#select(names, ({ name }) =>
      this.services.filter((s) => s.dependsOn.includes(name)).map((s) => s.name),
    );
    if (this.fence.state !== 'held' && this.fence.reason !== undefined) throw this.fence.reason;
    for (const name of wanted) this.host.books.stoppedOnPurpose.add(name);
    await stopInOrder(
      this.services.filter(({ name }) => wanted.has(name)),
      AbortSignal.any([this.#now.signal, AbortSignal.timeout(this.host.policy.stopAllMs), ...(now ? [now] : [])]),
      // Whoever started it meanwhile had the last word.
      ({ name }) => this.host.books.stoppedOnPurpose.has(name),
    );
    const started = (name: string): boolean => !this.host.books.stoppedOnPurpose.has(name);
    return withOvertaken(resultOf(this, wanted, ['stopped']), (name) => this.#state === 'running' && started(name));
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
        if (!overruled(this, service.name)) await turns.restart(service);
      },
    );
    return withOvertaken(turns.report(resultOf(this, wanted, ['ready'])), (name) => overruled(this, name));
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
    await startInOrder(this, new Set([...start, ...replace]), (service) =>
      replace.has(service.name) ? turns.restart(service) : undefined,
    );
    return turns.report(resultOf(this, replace, ['ready'])).failed.filter((name) => {
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
    await stopInOrder(rows, quickly);
    await endStore(this.host, this.services, this.#store);
    const database = this.services.find(({ spec }) => spec.kind === 'database');
    if (database !== undefined) await stopInOrder([database], quickly);
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
        version: this.version,
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
      phases: this.phases,
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
    return reached(this, names ?? this.#services.keys(), along);
  }
}
