import type { Queryable } from '../../../infra/database/connection.ts';

/** How often something was tried in its window, and when that window ends. */
export interface Attempts {
  readonly count: number;
  readonly endsAt: Date;
}

/** Counts one attempt, in the same moment for all processes; a window that is over begins anew. */
export async function countAttempt(connection: Queryable, key: Buffer, windowSeconds: number): Promise<Attempts> {
  const [row] = await connection.query<{ count: number; ends_at: Date }>(
    `INSERT INTO sign_in_attempts AS kept (key, count, ends_at) VALUES ($1, 1, now() + make_interval(secs => $2))
     ON CONFLICT (key) DO UPDATE SET
       count = CASE WHEN kept.ends_at <= now() THEN 1 ELSE kept.count + 1 END,
       ends_at = CASE WHEN kept.ends_at <= now() THEN excluded.ends_at ELSE kept.ends_at END
     RETURNING count, ends_at`,
    [key, windowSeconds],
  );
  if (row === undefined) throw new Error('The attempt was not counted');
  return { count: row.count, endsAt: row.ends_at };
}

/** Takes one attempt back that turned out to be none, and sweeps away windows that are long over. */
export async function uncountAttempts(connection: Queryable, keys: readonly Buffer[]): Promise<void> {
  await connection.query(
    `WITH swept AS (
       DELETE FROM sign_in_attempts WHERE key IN (
         SELECT key FROM sign_in_attempts WHERE ends_at < now() - interval '1 day' LIMIT 100 FOR UPDATE SKIP LOCKED)
     )
     UPDATE sign_in_attempts SET count = greatest(count - 1, 0) WHERE key = ANY ($1)`,
    [keys],
  );
}
