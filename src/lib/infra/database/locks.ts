import { TimeoutError } from '../../shared/errors.ts';
import type { Queryable } from './connection.ts';
import { sqlState } from './errors.ts';

/**
 * What is locked: a number that all agree on, until the session ends; or a table, until the transaction ends. Any role
 * of the database can take the former, the latter only one with rights on the table.
 */
export type LockTarget = { readonly advisory: number } | { readonly table: string };

export interface LockOptions {
  /** What has to wait, for the error: `The migration`. */
  readonly purpose: string;
  /** How long to wait, in ms; 15 s unless told. */
  readonly waitMs?: number;
}

/** Who keeps others from a lock, as PostgreSQL knows it. */
interface LockHolder {
  readonly pid: number;
  readonly role: string | null;
  readonly application: string | null;
}

/** Longer than anything of ours holds a lock that others wait for. */
const LOCK_WAIT_MS = 15_000;
const SQLSTATE_LOCK_NOT_AVAILABLE = '55P03';

/**
 * Takes a lock. Every later wait for a lock is bounded too: of the session, or of the transaction when it is a table.
 * @throws TimeoutError naming process, role and application of those who hold it
 */
export async function takeLock(on: Pick<Queryable, 'query'>, target: LockTarget, options: LockOptions): Promise<void> {
  const waitMs = Math.max(1, Math.round(options.waitMs ?? LOCK_WAIT_MS));
  // Of a transaction in which a statement failed nothing can be asked: the savepoint keeps it usable.
  if ('table' in target) await on.query('SAVEPOINT before_lock');
  // lock_timeout bounds advisory locks too (manual, 19.11.1).
  await on.query(`SET ${'table' in target ? 'LOCAL ' : ''}lock_timeout = ${waitMs}`);
  try {
    await on.query(
      'table' in target
        ? `LOCK TABLE ${target.table} IN SHARE ROW EXCLUSIVE MODE`
        : `SELECT pg_advisory_lock(${target.advisory})`,
    );
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    if ('table' in target) await on.query('ROLLBACK TO SAVEPOINT before_lock');
    throw lockTimeout(options.purpose, waitMs, await holdersOf(on, target), error);
  }
}

/** Whether a statement ended because a lock was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === SQLSTATE_LOCK_NOT_AVAILABLE;
}

/** The error for a wait that ended; without holders when they have let go meanwhile. */
export function lockTimeout(
  purpose: string,
  waitMs: number,
  holders: readonly LockHolder[],
  cause: unknown,
): TimeoutError {
  const names = holders.map(
    ({ pid, role, application }) => `process ${pid} (role ${role ?? 'unknown'}, application "${application ?? ''}")`,
  );
  const who = names.length === 0 ? 'somebody who has let go of it meanwhile' : names.join(', ');
  const seconds = Math.round(waitMs / 100) / 10;
  return new TimeoutError(`${purpose} waited ${seconds} s for a lock in the database, which is held by ${who}.`, {
    hint:
      holders.length === 0
        ? 'Try again.'
        : `Wait for it when it is another start or migration; else end it: SELECT pg_terminate_backend(${holders[0]?.pid});`,
    next: ['infra db status'],
    data: { holders },
    cause,
  });
}

/** The sessions that hold a lock, or any lock on a table that is not PostgreSQL's own. */
export async function holdersOf(
  on: Pick<Queryable, 'query'>,
  target: LockTarget | 'any table',
): Promise<readonly LockHolder[]> {
  const held =
    target === 'any table'
      ? "l.locktype = 'relation' AND l.relation >= 16384" // FirstNormalObjectId: what is below is a catalog
      : 'table' in target
        ? `l.locktype = 'relation' AND l.relation = '${target.table}'::regclass
           AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')`
        : // A 64-bit key stands in two columns (manual, 53.13).
          `l.locktype = 'advisory' AND l.objsubid = 1
           AND ((l.classid::bigint << 32) | l.objid::bigint) = ${target.advisory}`;
  return on.query<LockHolder>(
    `SELECT DISTINCT a.pid, a.usename::text AS role, a.application_name AS application
       FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.granted AND l.pid <> pg_backend_pid() AND ${held}
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      ORDER BY a.pid LIMIT 5`,
  );
}
