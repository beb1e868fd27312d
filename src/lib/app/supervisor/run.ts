import type { ExitPoll } from '../../infra/process/exit-poll.ts';
import { type ProcessIdentity, processInfo } from '../../infra/process/identity.ts';
import { logFileOf, pruneLogs } from '../../infra/process/logs.ts';
import type { Markers } from '../../infra/process/marker.ts';
import { pastShortage } from '../../infra/process/shortage.ts';
import { type ExitStatus, spawnService } from '../../infra/process/spawn.ts';
import type { ProcessCommand } from '../../infra/process/spec.ts';
import { type Termination, type TerminationResult, terminate } from '../../infra/process/terminate.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';

/** The installation whose services these are. */
export interface Installation {
  readonly id: string;
  readonly root: string;
  readonly logsDir: string;
  readonly profile: string;
}

/** What is on record of a process of ours. */
export interface ProcessRecord {
  readonly instanceId: ServiceInstanceId;
  readonly identity: ProcessIdentity;
  readonly port: number | undefined;
  readonly startedAt: Date;
  readonly artefactHash: string;
  readonly configHash: string;
}

/** Of how many runs of a service the output is kept. */
export const logsKept = 10;

/** One run of one service: its process, from spawn or adoption to the end of its last descendant. */
export class Run {
  readonly record: ProcessRecord;
  readonly logFile: string;
  /** How it ended; `null` when it was adopted, since only a parent is told. Never rejects. */
  readonly exited: Promise<ExitStatus | null>;
  readonly adopted: boolean;
  /** On the monotonic clock, in ms; for an adopted run the time of adoption. */
  readonly startedAt = performance.now();
  readonly #installation: Installation;
  #ended = false;

  private constructor(
    installation: Installation,
    record: ProcessRecord,
    logFile: string,
    exited: Promise<ExitStatus | null>,
    adopted: boolean,
  ) {
    this.#installation = installation;
    this.record = record;
    this.logFile = logFile;
    this.exited = exited;
    this.adopted = adopted;
    void exited.then(() => {
      this.#ended = true;
    });
  }

  /** @throws the operating system's error when the program can't be executed */
  static async spawn(
    installation: Installation,
    service: string,
    command: ProcessCommand,
    facts: Omit<ProcessRecord, 'identity' | 'startedAt'>,
  ): Promise<Run> {
    const logFile = logFileOf(installation.logsDir, service, facts.instanceId);
    const markers: Markers = {
      SYSTEMPROMPT_ROOT: installation.root,
      SYSTEMPROMPT_PROFILE: installation.profile,
      SYSTEMPROMPT_INSTANCE: installation.id,
      SYSTEMPROMPT_SERVICE: service,
      SYSTEMPROMPT_SERVICE_INSTANCE: facts.instanceId,
    };
    // Before there is a process: what failed after it would leave one that nobody has in care.
    await pruneLogs(installation.logsDir, service, logsKept - 1);
    const spawned = await spawnService(command, markers, logFile);
    const record = { ...facts, identity: spawned.identity, startedAt: new Date() };
    return new Run(installation, record, logFile, spawned.exited, false);
  }

  /** Takes over a process that another supervisor started; its end is noticed by looking. */
  static adopt(installation: Installation, service: string, record: ProcessRecord, exits: ExitPoll): Run {
    const logFile = logFileOf(installation.logsDir, service, record.instanceId);
    return new Run(
      installation,
      record,
      logFile,
      exits.gone(record.identity).then(() => null),
      true,
    );
  }

  get pid(): number {
    return this.record.identity.pid;
  }

  /** As far as we were told: a parent is told at once, of an adopted process we hear by looking. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether it was stopped by a signal and does not run, other than one that is merely busy. Told on Linux and macOS alike by `T`. */
  async halted(): Promise<boolean> {
    return (await processInfo(this.pid))?.state === 'T';
  }

  /** Ends the process, its group and whatever carries its marker. Also for the leftovers of a leader that has died. */
  end(how: Termination): Promise<TerminationResult> {
    const { identity, instanceId } = this.record;
    return pastShortage(() => terminate({ identity, instanceId, installationId: this.#installation.id }, how));
  }
}
