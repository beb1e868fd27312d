import { setTimeout as delay } from 'node:timers/promises';
import { ExitPoll } from '../../infra/process/exit-poll.ts';
import { ResourceSampler } from '../../infra/process/resource-sampler.ts';
import type { Termination } from '../../infra/process/terminate.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { Bookkeeping } from './bookkeeping.ts';
import { DatabaseRecordFile } from './database-record.ts';
import { Fence } from './fence.ts';
import type { Journal } from './journal.ts';
import type { SupervisionPolicy } from './policy.ts';
import { holderInWords, PortClaims, portTaken } from './port-choice.ts';
import { clearPort } from './port-clearing.ts';
import { portsOf, strangerOn } from './port-holder.ts';
import { Recorder } from './recorder.ts';
import { closeInterrupted } from './repository.ts';
import type { Installation, ProcessRecord } from './run.ts';
import type { ServiceHost, StateChange, SupervisedService, SupervisorLog } from './service-host.ts';
import { Timetable } from './timetable.ts';

export interface SupervisorHostOptions {
  readonly installation: Installation;
  readonly runDir: string;
  readonly policy: SupervisionPolicy;
  readonly journal: Journal;
  readonly log: SupervisorLog;
}

/** Fine enough for what is done every two seconds or less often, and coarse enough that many are done at once. */
const timetableGrainMs = 500;

/** The supervisor as its services see it: whether they may act, their ports, and who hears what becomes of them. */
export class SupervisorHost implements ServiceHost {
  readonly installation: Installation;
  readonly policy: SupervisionPolicy;
  readonly timetable: Timetable;
  readonly sampler: ResourceSampler;
  readonly exits: ExitPoll;
  readonly fence = new Fence();
  readonly recorder: Recorder;
  readonly records: DatabaseRecordFile;
  readonly books: Bookkeeping;
  readonly ports: PortClaims;
  /** Ids of all runs that this supervisor has begun or taken over and not seen the end of. */
  readonly runs = new Set<string>();
  readonly #journal: Journal;
  readonly #log: SupervisorLog;
  /** Fired when a stop must go ahead although the database is away. */
  readonly #forced = new AbortController();

  constructor({ installation, runDir, policy, journal, log }: SupervisorHostOptions) {
    const { id } = installation;
    this.installation = installation;
    this.policy = policy;
    this.timetable = new Timetable(Math.min(timetableGrainMs, policy.livenessEveryMs / 10));
    this.#journal = journal;
    this.#log = log;
    this.records = new DatabaseRecordFile(runDir);
    this.recorder = new Recorder(this.fence, id, policy.epochEveryMs, (error) => {
      log.error({ err: error }, 'a record could not be written');
    });
    this.books = new Bookkeeping(id, this.recorder, this.records, log);
    this.ports = new PortClaims({ installationId: id, waitMs: policy.portWaitMs });
    this.exits = new ExitPoll(policy.adoptedPollMs);
    this.sampler = new ResourceSampler(id, policy.resourcesEveryMs, (error) => {
      log.error({ err: error }, 'what the services take up could not be looked at');
    });
    this.fence.onChange((state) => {
      if (state === 'held') log.info({ epoch: this.recorder.epoch }, 'the epoch is ours');
      else
        log.error(
          { err: this.fence.reason },
          state === 'lost' ? 'another supervisor took over' : 'the database is away',
        );
    });
  }

  /** From here on services may be ended although the database is away. */
  force(): void {
    this.#forced.abort();
  }

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
    return this.ports.claim(service.spec, signal);
  }

  changed(service: SupervisedService, change?: StateChange): void {
    if (change !== undefined) {
      const { reason, ...rest } = change;
      const why = reason === undefined ? {} : { reason };
      this.#journal.add({ type: 'transition', service: service.name, ...rest, ...why, status: service.status() });
      const level =
        change.to === 'failed'
          ? 'error'
          : ['backoff', 'unhealthy'].includes(change.to) || change.event === 'not_serving'
            ? 'warn'
            : 'info';
      const facts = {
        target: service.name,
        targetPid: service.process?.identity.pid,
        ...rest,
        ...why,
        generation: service.generation,
      };
      this.#log[level](facts, `${service.name} is ${change.event === 'not_serving' ? 'not serving' : change.to}`);
    }
    this.books.record(service, change);
  }

  begun(instanceId: ServiceInstanceId): void {
    this.runs.add(instanceId);
  }

  notBegun({ name }: SupervisedService, { instanceId, port }: Pick<ProcessRecord, 'instanceId' | 'port'>): void {
    this.runs.delete(instanceId);
    this.ports.release(name, port);
  }

  async verifyPort({ spec }: SupervisedService): Promise<void> {
    if (spec.port?.shared === undefined) return;
    const stranger = await strangerOn(spec.port.preferred, portsOf(spec.port, this.installation.id));
    if (stranger !== undefined) throw portTaken(spec, stranger);
  }

  async announced({ spec }: SupervisedService, signal: AbortSignal): Promise<void> {
    await this.recorder.caughtUp(signal);
    // Behind a shared port nobody has to learn where to go.
    if (spec.port?.shared === undefined) await delay(this.policy.routeSettleMs, undefined, { signal });
  }

  said({ name }: SupervisedService, level: 'info' | 'warn' | 'error', message: string): void {
    this.#journal.add({ type: 'log', level, service: name, message });
    this.#log[level]({ target: name }, `${name}: ${message}`);
  }

  async clearPort(
    service: SupervisedService,
    { port, instanceId }: ProcessRecord,
    how: Termination,
  ): Promise<readonly number[]> {
    if (port === undefined) return [];
    const known = new Set([...this.runs].filter((id) => id !== instanceId));
    const of = { port, service: service.name, installationId: this.installation.id, known };
    const { ended, survivors, strangers } = await clearPort(of, how);
    if (ended.length > 0)
      this.said(service, 'warn', `process ${ended.join(', ')} still listened on port ${port} and was ended`);
    for (const stranger of strangers) {
      this.said(
        service,
        'warn',
        `port ${port} is held by ${holderInWords(stranger)}, which is none of ours and is left alone`,
      );
    }
    return survivors;
  }

  async ended({ name, spec }: SupervisedService, { instanceId, port }: ProcessRecord): Promise<void> {
    this.runs.delete(instanceId);
    this.ports.release(name, port);
    if (spec.kind === 'api') this.closeCalls(instanceId);
    try {
      await spec.cleanUp?.(instanceId);
    } catch (error) {
      this.#log.error({ err: error, target: name }, `what a run of ${name} left behind could not be removed`);
    }
  }

  /** The calls that an API process left open get their outcome. */
  closeCalls(apiInstance: ServiceInstanceId): void {
    this.recorder.write(async (db) => {
      await closeInterrupted(db, apiInstance);
      return true;
    });
  }
}
