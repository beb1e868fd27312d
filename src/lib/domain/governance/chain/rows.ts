import type { Queryable } from '../../../infra/database/connection.ts';
import type { Cursor, RowSource, Snapshot } from './format.ts';

/** Where the rows of a source are. */
interface Place {
  readonly table: string;
  readonly key: string;
  readonly type: 'uuid' | 'bigint';
  /** The key in 16 bytes. */
  readonly packed: string;
  /** When the row was made. */
  readonly time: string;
}

export const places: Readonly<Record<RowSource, Place>> = {
  intent: {
    table: 'audit.tool_intents',
    key: 'execution_id',
    type: 'uuid',
    packed: 'uuid_send(execution_id)',
    time: 'started_at',
  },
  outcome: {
    table: 'audit.tool_outcomes',
    key: 'execution_id',
    type: 'uuid',
    packed: 'uuid_send(execution_id)',
    time: 'recorded_at',
  },
  identity: {
    table: 'public.identity_events',
    key: 'id',
    type: 'bigint',
    packed: `'\\x0000000000000000'::bytea || int8send(id)`,
    time: 'at',
  },
};

/** What of a table is meant: what one snapshot sees and another did not, between two rows. */
export interface Range {
  readonly since: Snapshot;
  readonly until: Snapshot;
  /** The row before the first. */
  readonly after?: Cursor | undefined;
  /** The last row. */
  readonly upto?: Cursor | undefined;
}

/** For each source the SQL of the canonical form of a row `r`. */
export type CanonicalForms = Readonly<Record<RowSource, string>>;

/**
 * The SQL of the canonical forms. It is made from the columns that the tables have now, so the transaction holds the tables
 * as they are; it leaves out columns that are null by their names, which costs a seventh of taking every row apart.
 * @param tx a transaction in which the time zone is UTC
 */
export async function canonicalForms(tx: Queryable): Promise<CanonicalForms> {
  const tables = Object.values(places).map(({ table }) => table);
  await tx.query(`LOCK TABLE ${tables.join(', ')} IN ACCESS SHARE MODE`);
  const columns = await tx.query<{ table: string; name: string }>(
    `SELECT t AS table, a.attname AS name FROM unnest($1::text[]) t JOIN pg_attribute a ON a.attrelid = t::regclass
     WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull ORDER BY t, a.attnum`,
    [tables],
  );
  const form = (source: RowSource): string => {
    const nullable = columns.filter(({ table }) => table === places[source].table).map(({ name }) => name);
    if (nullable.length === 0) return 'to_jsonb(r)::text';
    const cases = nullable.map((name) => {
      const quoted = `"${name.replaceAll('"', '""')}"`;
      return `CASE WHEN (r).${quoted} IS NULL THEN '${name.replaceAll("'", "''")}' END`;
    });
    return `(to_jsonb(r) - array_remove(ARRAY[${cases.join(', ')}], NULL))::text`;
  };
  return { intent: form('intent'), outcome: form('outcome'), identity: form('identity') };
}

/** A part of a statement with its parameters. */
export interface Selection {
  readonly sql: string;
  readonly params: readonly unknown[];
}

/**
 * The rows of a range as `(position, key, r)`. Two looks at one index: what was open before, one by one, and all that
 * came after.
 * @param limit how many rows at most, the first in the order of position and key
 */
export function rowsIn(source: RowSource, { since, until, after, upto }: Range, limit: number): Selection {
  const { table, key, type } = places[source];
  const params: unknown[] = [since.end, since.open, until.end, until.open];
  let between = '';
  if (after !== undefined) {
    params.push(after.position, after.key);
    between += ` AND (t.position, t.${key}) > ($${params.length - 1}::bigint, $${params.length}::${type})`;
  }
  if (upto !== undefined) {
    params.push(upto.position, upto.key);
    between += ` AND (t.position, t.${key}) <= ($${params.length - 1}::bigint, $${params.length}::${type})`;
  }
  const rest = `t.position < $3::bigint AND t.position <> ALL ($4::bigint[])${between}
      ORDER BY t.position, t.${key} LIMIT ${limit}`;
  const look = (condition: string) =>
    `(SELECT t.position, t.${key}, t AS r FROM ${table} t WHERE ${condition} AND ${rest})`;
  return {
    sql: `SELECT * FROM (${look('t.position = ANY ($2::bigint[])')} UNION ALL ${look('t.position >= $1::bigint')}) looked
      ORDER BY position, ${key} LIMIT ${limit}`,
    params,
  };
}

/** Keys and digests of the rows of a range. */
export interface Leaves {
  readonly count: number;
  readonly keys: Buffer;
  readonly digests: Buffer;
  readonly last?: Cursor;
}

export async function leavesIn(
  tx: Queryable,
  forms: CanonicalForms,
  source: RowSource,
  range: Range,
  limit: number,
): Promise<Leaves> {
  const { key, packed } = places[source];
  const { sql, params } = rowsIn(source, range, limit);
  const [row] = await tx.query<{
    count: number;
    keys: Buffer | null;
    digests: Buffer | null;
    position: string | null;
    key: string | null;
  }>(
    `SELECT count(*)::int AS count, string_agg(packed, ''::bytea ORDER BY position, ${key}) AS keys,
       string_agg(digest, ''::bytea ORDER BY position, ${key}) AS digests, max(position)::text AS position,
       (array_agg(${key}::text ORDER BY position DESC, ${key} DESC))[1] AS key
     FROM (SELECT position, ${key}, ${packed} AS packed, sha256(convert_to(${forms[source]}, 'UTF8')) AS digest
           FROM (${sql}) found) leaves`,
    params,
  );
  const count = row?.count ?? 0;
  const last = count > 0 ? { position: Number(row?.position), key: String(row?.key) } : undefined;
  return {
    count,
    keys: row?.keys ?? Buffer.alloc(0),
    digests: row?.digests ?? Buffer.alloc(0),
    ...(last === undefined ? {} : { last }),
  };
}

/** Whether there is any row that a snapshot did not see; cheap enough to ask twice a second. */
export function anyBeyond(source: RowSource, first: number): string {
  const { table } = places[source];
  return `EXISTS (SELECT FROM ${table} WHERE position >= $${first}::bigint)
    OR EXISTS (SELECT FROM ${table} WHERE position = ANY ($${first + 1}::bigint[]))`;
}
