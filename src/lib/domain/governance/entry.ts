import type { PreparedStatement } from '../../infra/database/dedicated.ts';
import { sqlState } from '../../infra/database/errors.ts';
import { AuditUnavailableError, TimeoutError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { outcomeJson, writeBoth, writeIntents, writeOutcomes } from './statements.ts';

/** Rows of one call that are written together, and the caller who waits for them. */
export interface Entry {
  readonly executionId: ExecutionId;
  /** JSON text of the row, or nothing. */
  readonly intent: string | undefined;
  outcome: string | undefined;
  /** Absent when nobody waits (any more). */
  waiter: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  /** By `performance.now()`. */
  readonly since: number;
  /** Whether an earlier try may have been committed: then a conflict is our own row. */
  repeated: boolean;
  /** To be written by itself, since a statement with it was refused. */
  alone: boolean;
  /** The intent's caller was sent away while the statement ran: should it be committed, it needs an outcome. */
  abandoned: boolean;
}

/** Tells the waiter, once. */
export function settle(entry: Entry, error?: Error): void {
  const { waiter } = entry;
  entry.waiter = undefined;
  if (error === undefined) waiter?.resolve();
  else waiter?.reject(error);
}

/** Sends the waiter of an intent away. If the intent may be in the store, it gets the outcome of a call not made. */
export function refuse(entry: Entry, error: Error): void {
  if (entry.repeated) entry.outcome ??= notMade(entry.executionId);
  settle(entry, error);
}

/** One statement for all rows of a batch. */
export interface Batch {
  readonly statement: PreparedStatement;
  readonly values: readonly string[];
  /** How many rows the statement reports when all are new. */
  readonly rows: number;
}

export function composeBatch(entries: readonly Entry[]): Batch {
  let intents = '';
  let outcomes = '';
  let intentCount = 0;
  let outcomeCount = 0;
  for (const { intent, outcome } of entries) {
    if (intent !== undefined) {
      intents += intentCount === 0 ? intent : `,${intent}`;
      intentCount += 1;
    }
    if (outcome !== undefined) {
      outcomes += outcomeCount === 0 ? outcome : `,${outcome}`;
      outcomeCount += 1;
    }
  }
  if (outcomeCount === 0) return { statement: writeIntents, values: [`[${intents}]`], rows: intentCount };
  if (intentCount === 0) return { statement: writeOutcomes, values: [`[${outcomes}]`], rows: outcomeCount };
  return { statement: writeBoth, values: [`[${intents}]`, `[${outcomes}]`], rows: outcomeCount };
}

/**
 * What a failed statement means: `lost` (whether it was committed is not known), `data` (a row that PostgreSQL does not
 * take, SQLSTATE class 22 or 23), `refused` (it answers but can't write: disk full, read-only, a right missing).
 */
export function failureOf(error: unknown): 'lost' | 'data' | 'refused' {
  const state = sqlState(error) ?? (error instanceof Error ? sqlState(error.cause) : undefined);
  if (state === undefined || state.startsWith('08') || state.startsWith('57P')) return 'lost';
  return state.startsWith('22') || state.startsWith('23') ? 'data' : 'refused';
}

/** The outcome, as JSON, of an intent that was committed though its caller had been sent away. */
export function notMade(executionId: ExecutionId): string {
  return outcomeJson({ executionId, status: 'failed', error: 'The call was not made: the audit store was lost.' });
}

export function unavailable(message: string, cause?: unknown): AuditUnavailableError {
  return new AuditUnavailableError(message, {
    hint: 'Try again when the database is back.',
    next: ['infra services status'],
    ...(cause === undefined ? {} : { cause }),
  });
}

export function late(executionId: ExecutionId): TimeoutError {
  return new TimeoutError(
    'The call was made, but its outcome could not be recorded in time, so its answer is not given.',
    {
      hint: 'The state is unknown to you; the record shows it when the database is back.',
      next: [`admin audit show ${executionId}`],
      data: { executionId },
    },
  );
}

/** An error in words: what the driver hangs on it (statements, rows, its whole state) is not for the log. */
export function explain(error: unknown): { readonly reason: string; readonly sqlstate?: string } {
  const sqlstate = sqlState(error);
  return {
    reason: error instanceof Error ? error.message : String(error),
    ...(sqlstate === undefined ? {} : { sqlstate }),
  };
}
