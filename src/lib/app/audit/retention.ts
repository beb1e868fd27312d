import type { Queryable } from '../../infra/database/connection.ts';

/** Most segments, and about how many rows, are deleted by one transaction. */
const maxSegments = 5000;
const maxRows = 20_000;

const dayMs = 86_400_000;

interface Row {
  readonly number: number;
  readonly source: string;
  readonly part: boolean;
  readonly leaves: number;
}

/**
 * Up to which segment rows may be deleted now: all before it were sealed long enough ago, and it ends no source in the midst
 * of a snapshot.
 * @returns nothing when there is none
 */
export async function pruneEnd(
  database: Queryable,
  retentionDays: number,
  now = Date.now(),
): Promise<{ readonly through: number; readonly before: string } | undefined> {
  const before = new Date(now - retentionDays * dayMs).toISOString();
  const [last] = await database.query<{ through: number | null }>(
    `SELECT (note::json ->> 'through')::bigint AS through FROM audit.segments WHERE source = 'retention'
     ORDER BY number DESC LIMIT 1`,
  );
  const rows = await database.query<Row>(
    `SELECT number, source, upto_position IS NOT NULL AS part, leaves FROM audit.segments
     WHERE number > $1 AND sealed_at < $2 ORDER BY number LIMIT ${maxSegments}`,
    [last?.through ?? 0, before],
  );
  const parts = new Set<string>();
  let leaves = 0;
  let through: number | undefined;
  for (const { number, source, part, leaves: own } of rows) {
    if (part) parts.add(source);
    else parts.delete(source);
    leaves += own;
    if (parts.size > 0 || leaves === 0) continue;
    through = number;
    if (leaves >= maxRows) break;
  }
  return through === undefined ? undefined : { through, before };
}
