import { isDeepStrictEqual } from 'node:util';
import { PortTakenError, PreconditionError } from '../../shared/errors.ts';
import { errorToWire } from '../../shared/wire.ts';
import { configurationSentence } from './configuration-sentence.ts';
import { configurationSubject } from './event-types.ts';
import type { Journal } from './journal.ts';
import type { Recorder } from './recorder.ts';
import { writeEvent } from './repository.ts';
import type { SupervisorLog } from './service-host.ts';
import type { FilesStatus, ReconcileResult, ReconcileStep } from './status.ts';

interface Told {
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly installationId: string;
  readonly log: SupervisorLog;
}

/** How the files stand to what is in force, and the telling of it: status, live event, row, log. */
export class FilesRecord {
  readonly #told: Told;
  #status: FilesStatus | undefined;

  constructor(told: Told) {
    this.#told = told;
  }

  get status(): FilesStatus | undefined {
    return this.#status;
  }

  /** The boot has brought what the files say into force. */
  begin(): void {
    this.#status = { state: 'current', since: new Date().toISOString() };
  }

  /** Keeps what a reconcile finds, and tells it when it is new; the result, or the error, is the reconcile's. */
  async watching(reconcile: () => Promise<ReconcileResult>): Promise<ReconcileResult> {
    try {
      const result = await reconcile();
      const dryRun = result.dryRun === true;
      const steps = result.steps.filter(({ kind }) => kind !== 'keep');
      if (!result.valid) this.#become({ state: 'invalid', issues: result.issues ?? [] });
      else if (dryRun && steps.length > 0) this.#become({ state: 'pending', steps });
      else this.#become({ state: 'current' }, dryRun ? [] : steps, result.failed);
      return result;
    } catch (error) {
      // Not the system's own state (it starts, it stops, its database is away): what the files ask for can't be had.
      if (error instanceof PortTakenError || error instanceof PreconditionError)
        this.#become({ state: 'refused', error: errorToWire(error) });
      throw error;
    }
  }

  /** @param done the steps that were taken */
  #become(now: Omit<FilesStatus, 'since'>, done: readonly ReconcileStep[] = [], failed: readonly string[] = []): void {
    const before = this.#status;
    const same = before !== undefined && isDeepStrictEqual(before, { ...now, since: before.since });
    // A state that goes on keeps its beginning, though what is wrong may be something else by now.
    const since = before?.state === now.state ? before.since : new Date().toISOString();
    this.#status = { ...now, since };
    if (done.length === 0 && (same || (before === undefined && now.state === 'current'))) return;
    const steps = now.steps ?? done;
    const { journal, recorder, installationId, log } = this.#told;
    const { issues, error } = now;
    journal.add({
      type: 'configuration',
      state: now.state,
      steps,
      failed,
      ...(issues === undefined ? {} : { issues }),
      ...(error === undefined ? {} : { error }),
    });
    const reason = configurationSentence({ ...now, steps });
    const level = now.state === 'current' || now.state === 'pending' ? 'info' : 'warn';
    log[level]({ state: now.state, steps, issues, error }, `configuration: ${reason}`);
    const event = { from: before?.state ?? 'current', to: now.state, event: 'read', reason, at: new Date() } as const;
    recorder.write((db, epoch) => writeEvent(db, { installationId, epoch }, configurationSubject, event));
  }
}
