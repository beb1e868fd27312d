import type { Queryable } from '../../infra/database/connection.ts';
import type { Quota } from './quota.ts';

/** What the database gave of what was asked for. */
export interface Grant {
  readonly granted: number;
  /** In how many ms the allowance is whole again, what was granted included. */
  readonly owingMs: number;
}

/** Takes up to `want` requests from a caller's allowance; of several processes each gets what the others left. */
export async function takeFromAllowance(
  connection: Queryable,
  { name, costMs, depthMs, capacity }: Quota,
  caller: string,
  want: number,
): Promise<Grant> {
  const [row] = await connection.query<{ granted: number; owing_ms: number }>(
    `INSERT INTO rate_allowances AS kept (quota, caller, whole_at, granted)
     SELECT $1, $2, clock_timestamp() + least($3::int, $6::int) * make_interval(secs => $4::float8 / 1000), least($3::int, $6::int)
     ON CONFLICT (quota, caller) DO UPDATE SET (whole_at, granted) = (
       SELECT base.whole_at + free.taken * make_interval(secs => $4::float8 / 1000), free.taken
       FROM (SELECT greatest(kept.whole_at, clock_timestamp()) AS whole_at) AS base,
         LATERAL (SELECT greatest(0, least($3::int, floor(
           ($5::float8 - extract(epoch FROM base.whole_at - clock_timestamp())::float8 * 1000) / $4::float8)))::int AS taken) AS free)
     RETURNING granted, extract(epoch FROM whole_at - clock_timestamp())::float8 * 1000 AS owing_ms`,
    [name, caller, want, costMs, depthMs, capacity],
    { name: 'rate-allowance' },
  );
  if (row === undefined) throw new Error('The allowance is not there after it was taken from');
  return { granted: row.granted, owingMs: Math.max(0, row.owing_ms) };
}

/** Forgets callers whose allowance is whole, some at a time: they begin with a whole one anyway. */
export async function forgetWholeAllowances(connection: Queryable): Promise<void> {
  await connection.query(
    `DELETE FROM rate_allowances WHERE (quota, caller) IN
       (SELECT quota, caller FROM rate_allowances WHERE whole_at < now() - interval '1 minute' LIMIT 5000 FOR UPDATE SKIP LOCKED)`,
  );
}
