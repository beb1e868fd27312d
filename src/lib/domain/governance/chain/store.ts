import type { Queryable } from '../../../infra/database/connection.ts';
import {
  type Checkpoint,
  noSnapshot,
  type RowSource,
  rowSources,
  type Segment,
  type SegmentSource,
  type SourceState,
} from './format.ts';

// As text to the millisecond: a Date would be made of what is not that exact.
const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ${column}`;

// Numbers as text too: one that nobody wrote may be larger than any of ours, and is to be found, not to fail at.
const segmentColumns = `number::text, source, version, until_end::text, until_open::text[], upto_position::text, upto_key, leaves,
  leaf_keys, leaf_digests, note, previous_hash, hash, ${time('sealed_at')}`;

const checkpointColumns = `number::text, segment::text, hash, leaves::text, key_id, ${time('signed_at')}, signature`;

interface SegmentRow {
  readonly number: string;
  readonly source: SegmentSource;
  readonly version: number;
  readonly until_end: string;
  readonly until_open: readonly string[];
  readonly upto_position: string | null;
  readonly upto_key: string | null;
  readonly leaves: number;
  readonly leaf_keys: Buffer;
  readonly leaf_digests: Buffer;
  readonly note: string | null;
  readonly previous_hash: Buffer;
  readonly hash: Buffer;
  readonly sealed_at: string;
}

interface CheckpointRow {
  readonly number: string;
  readonly segment: string;
  readonly hash: Buffer;
  readonly leaves: string;
  readonly key_id: string;
  readonly signed_at: string;
  readonly signature: Buffer;
}

/** Segments by number, from `first` on. */
export async function segmentsFrom(database: Queryable, first: number, limit: number): Promise<Segment[]> {
  const rows = await database.query<SegmentRow>(
    `SELECT ${segmentColumns} FROM audit.segments s WHERE number >= $1 ORDER BY s.number LIMIT $2`,
    [first, limit],
  );
  return rows.map(toSegment);
}

/** The last segment of a source below a number; of any source without one. */
export async function lastSegment(
  database: Queryable,
  source?: SegmentSource,
  below = Number.MAX_SAFE_INTEGER,
): Promise<Segment | undefined> {
  const [row] = await database.query<SegmentRow>(
    `SELECT ${segmentColumns} FROM audit.segments s WHERE number < $1 ${source === undefined ? '' : 'AND source = $2'}
     ORDER BY s.number DESC LIMIT 1`,
    source === undefined ? [below] : [below, source],
  );
  return row && toSegment(row);
}

/** For each source what was sealed of it below a segment; all that is sealed without one. */
export async function sourceStates(
  database: Queryable,
  below = Number.MAX_SAFE_INTEGER,
): Promise<Record<RowSource, SourceState>> {
  const states = {} as Record<RowSource, SourceState>;
  for (const source of rowSources) states[source] = await sourceState(database, source, below);
  return states;
}

async function sourceState(database: Queryable, source: RowSource, below: number): Promise<SourceState> {
  const last = await lastSegment(database, source, below);
  if (last === undefined) return { since: noSnapshot };
  if (last.upto === undefined) return { since: last.until };
  // The snapshot before the one of which a part is sealed: where the last segment without a rest ended.
  const [whole] = await database.query<{ number: number | null }>(
    'SELECT max(number) AS number FROM audit.segments s WHERE source = $1 AND upto_position IS NULL AND number < $2',
    [source, below],
  );
  const before = whole?.number ? await lastSegment(database, source, whole.number + 1) : undefined;
  return { since: before?.until ?? noSnapshot, part: { until: last.until, upto: last.upto } };
}

/** All segments of a source that has few of them. */
export async function segmentsOf(database: Queryable, source: 'key' | 'retention'): Promise<Segment[]> {
  const rows = await database.query<SegmentRow>(
    `SELECT ${segmentColumns} FROM audit.segments s WHERE source = $1 ORDER BY s.number`,
    [source],
  );
  return rows.map(toSegment);
}

/** Checkpoints of segments from one to another, both included. */
export async function checkpointsOf(database: Queryable, from: number, to: number): Promise<Checkpoint[]> {
  const rows = await database.query<CheckpointRow>(
    `SELECT ${checkpointColumns} FROM audit.checkpoints c
     WHERE segment BETWEEN $1 AND $2 ORDER BY c.segment LIMIT 1000`,
    [from, Math.min(to, Number.MAX_SAFE_INTEGER)],
  );
  return rows.map(toCheckpoint);
}

/** The last checkpoint at or below a segment. */
export async function lastCheckpoint(
  database: Queryable,
  upto = Number.MAX_SAFE_INTEGER,
): Promise<Checkpoint | undefined> {
  const [row] = await database.query<CheckpointRow>(
    `SELECT ${checkpointColumns} FROM audit.checkpoints c
     WHERE segment <= $1 ORDER BY c.segment DESC LIMIT 1`,
    [upto],
  );
  return row && toCheckpoint(row);
}

export async function insertSegment(tx: Queryable, segment: Segment): Promise<void> {
  await tx.query(
    `INSERT INTO audit.segments (number, source, version, until_end, until_open, upto_position, upto_key, leaves, leaf_keys,
       leaf_digests, note, previous_hash, hash, sealed_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
    [
      segment.number,
      segment.source,
      segment.version,
      segment.until.end,
      segment.until.open,
      segment.upto?.position ?? null,
      segment.upto?.key ?? null,
      segment.leaves,
      segment.leafKeys,
      segment.leafDigests,
      segment.note ?? null,
      segment.previousHash,
      segment.hash,
      segment.sealedAt,
    ],
  );
}

export async function insertCheckpoint(tx: Queryable, checkpoint: Checkpoint): Promise<void> {
  const { number, segment, hash, leaves, keyId, signedAt, signature } = checkpoint;
  await tx.query(
    `INSERT INTO audit.checkpoints (number, segment, hash, leaves, key_id, signed_at, signature)
     VALUES ($1,$2,$3,$4,$5,$6,$7)`,
    [number, segment, hash, leaves, keyId, signedAt, signature],
  );
}

function toSegment(row: SegmentRow): Segment {
  return {
    number: Number(row.number),
    source: row.source,
    version: row.version,
    until: { end: Number(row.until_end), open: row.until_open.map(Number) },
    ...(row.upto_position === null && row.upto_key === null
      ? {}
      : { upto: { position: Number(row.upto_position), key: row.upto_key ?? '' } }),
    leaves: row.leaves,
    leafKeys: row.leaf_keys,
    leafDigests: row.leaf_digests,
    ...(row.note === null ? {} : { note: row.note }),
    previousHash: row.previous_hash,
    hash: row.hash,
    sealedAt: row.sealed_at,
  };
}

function toCheckpoint(row: CheckpointRow): Checkpoint {
  const { hash, key_id: keyId, signed_at: signedAt, signature } = row;
  return {
    number: Number(row.number),
    segment: Number(row.segment),
    hash,
    leaves: Number(row.leaves),
    keyId,
    signedAt,
    signature,
  };
}
