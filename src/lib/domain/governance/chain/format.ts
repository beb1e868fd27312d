import { createHash, hash } from 'node:crypto';

/** What rows a segment binds; the last two have no rows but a note. */
export type RowSource = 'intent' | 'outcome' | 'identity';
export type SegmentSource = RowSource | 'key' | 'retention';
export const rowSources: readonly RowSource[] = ['intent', 'outcome', 'identity'];

/** A snapshot in positions: it sees every position below `end` but those that were open. */
export interface Snapshot {
  readonly end: number;
  readonly open: readonly number[];
}

/** The last row of a part of a snapshot. */
export interface Cursor {
  readonly position: number;
  readonly key: string;
}

/** One entry of the chain. */
export interface Segment {
  readonly number: number;
  readonly source: SegmentSource;
  /** Of the canonical form of its rows. */
  readonly version: number;
  /** What it ends with; it begins where the segment of the same source before it ended. */
  readonly until: Snapshot;
  /** Set when the snapshot has more rows than it holds: those come with the next segment of its source. */
  readonly upto?: Cursor;
  readonly leaves: number;
  /** 16 bytes a row, in the order of positions. */
  readonly leafKeys: Buffer;
  /** 32 bytes a row: SHA-256 of its canonical form. */
  readonly leafDigests: Buffer;
  /** JSON text. */
  readonly note?: string;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
  /** ISO 8601, with milliseconds. */
  readonly sealedAt: string;
}

/** What the sealer signs: the chain up to a segment. */
export interface Checkpoint {
  readonly number: number;
  readonly segment: number;
  readonly hash: Buffer;
  /** Of all segments up to it. */
  readonly leaves: number;
  readonly keyId: string;
  readonly signedAt: string;
  readonly signature: Buffer;
}

/**
 * The only canonical form so far: the UTF-8 text of the row as PostgreSQL's jsonb, times in UTC, without the columns
 * that are null, so that columns that come later leave old digests as they are.
 */
export const canonicalVersion = 1;
export const keyBytes = 16;
export const digestBytes = 32;
/** What the first segment follows on. */
export const genesis: Buffer = Buffer.alloc(digestBytes);
/** Sees nothing. */
export const noSnapshot: Snapshot = { end: 0, open: [] };

/** What is sealed of a source: a snapshot, and maybe a part of the next one. */
export interface SourceState {
  readonly since: Snapshot;
  readonly part?: { readonly until: Snapshot; readonly upto: Cursor } | undefined;
}

/** Everything of a segment but its hash. */
export type SegmentBody = Omit<Segment, 'hash'>;

/** SHA-256 over every field of a segment, and with the previous hash over everything before it. */
export function segmentHash(body: SegmentBody): Buffer {
  const head = JSON.stringify([
    body.number,
    body.source,
    body.version,
    body.until.end,
    body.until.open,
    body.upto === undefined ? null : [body.upto.position, body.upto.key],
    body.leaves,
    hash('sha256', body.leafKeys, 'hex'),
    hash('sha256', body.leafDigests, 'hex'),
    body.note ?? null,
    body.previousHash.toString('hex'),
    body.sealedAt,
  ]);
  return createHash('sha256').update(`systemprompt audit segment 1\n${head}`).digest();
}

/** The bytes that a checkpoint's signature is of. */
export function checkpointBytes(checkpoint: Omit<Checkpoint, 'signature'>): Buffer {
  const { number, segment, leaves, keyId, signedAt } = checkpoint;
  const fields = [number, segment, checkpoint.hash.toString('hex'), leaves, keyId, signedAt];
  return Buffer.from(`systemprompt audit checkpoint 1\n${JSON.stringify(fields)}`);
}

/** The key of a row as a segment holds it: a UUID, or a number in the last eight of its bytes. */
export function packKey(source: RowSource, key: string): Buffer {
  if (source !== 'identity') return Buffer.from(key.replaceAll('-', ''), 'hex');
  const bytes = Buffer.alloc(keyBytes);
  bytes.writeBigUInt64BE(BigInt(key), 8);
  return bytes;
}

export function unpackKey(source: RowSource, bytes: Buffer): string {
  if (source === 'identity') return bytes.readBigUInt64BE(8).toString();
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
