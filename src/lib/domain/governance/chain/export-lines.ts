import { z } from 'zod';
import type { Checkpoint, RowSource, Segment } from './format.ts';

/*
 * The export that can be verified without the instance: one JSON a line. Segments and checkpoints come in their order, a
 * page of them before the rows that they bind. A row stands there in its canonical form, to the byte: its line
 * begins with `{"type":"intent","segment":7,"row":` and ends with `}`.
 */

/** How many segments come before their rows. */
export const exportPage = 64;

export const exportHead = z.strictObject({
  type: z.literal('export'),
  version: z.literal(2),
  made_at: z.string(),
  /** Which rows were asked for; the chain is there as a whole. */
  filters: z.record(z.string(), z.string()),
});
export type ExportHead = z.infer<typeof exportHead>;

/** The last line: the SHA-256 of all bytes before it. It proves nothing against whoever writes files, but shows what was cut or flipped on the way. */
interface ExportEnd {
  readonly type: 'end';
  readonly sha256: string;
}

const hex = z.string().regex(/^(?:[0-9a-f]{2})*$/);
// Of texts that stand for the same bytes only one is taken.
const base64 = z.string().refine((text) => Buffer.from(text, 'base64').toString('base64') === text);

export const segmentLine = z.strictObject({
  type: z.literal('segment'),
  number: z.number(),
  source: z.enum(['intent', 'outcome', 'identity', 'key', 'retention']),
  version: z.number(),
  until_end: z.number(),
  until_open: z.array(z.number()),
  upto_position: z.number().optional(),
  upto_key: z.string().optional(),
  leaves: z.int().min(0),
  leaf_keys: base64,
  leaf_digests: base64,
  note: z.string().optional(),
  previous_hash: hex,
  hash: hex,
  sealed_at: z.string(),
});

export const checkpointLine = z.strictObject({
  type: z.literal('checkpoint'),
  number: z.number(),
  segment: z.number(),
  hash: hex,
  leaves: z.number(),
  key_id: z.string(),
  signed_at: z.string(),
  signature: base64,
});

export function toSegmentLine(segment: Segment): string {
  const { upto } = segment;
  return line({
    type: 'segment',
    number: segment.number,
    source: segment.source,
    version: segment.version,
    until_end: segment.until.end,
    until_open: [...segment.until.open],
    ...(upto === undefined ? {} : { upto_position: upto.position, upto_key: upto.key }),
    leaves: segment.leaves,
    leaf_keys: segment.leafKeys.toString('base64'),
    leaf_digests: segment.leafDigests.toString('base64'),
    ...(segment.note === undefined ? {} : { note: segment.note }),
    previous_hash: segment.previousHash.toString('hex'),
    hash: segment.hash.toString('hex'),
    sealed_at: segment.sealedAt,
  } satisfies z.infer<typeof segmentLine>);
}

export function toCheckpointLine(checkpoint: Checkpoint): string {
  return line({
    type: 'checkpoint',
    number: checkpoint.number,
    segment: checkpoint.segment,
    hash: checkpoint.hash.toString('hex'),
    leaves: checkpoint.leaves,
    key_id: checkpoint.keyId,
    signed_at: checkpoint.signedAt,
    signature: checkpoint.signature.toString('base64'),
  } satisfies z.infer<typeof checkpointLine>);
}

/** @param sha256 in hexadecimal, of all that was written before */
export function toEndLine(sha256: string): string {
  return line({ type: 'end', sha256 } satisfies ExportEnd);
}

/** @param row the canonical form */
export function toRowLine(source: RowSource, segment: number, row: string): string {
  return `{"type":"${source}","segment":${segment},"row":${row}}\n`;
}

/** The parts of a line of a row; nothing for any other line. */
export function readRowLine(text: string): { source: RowSource; segment: number; row: string } | undefined {
  const match = /^\{"type":"(intent|outcome|identity)","segment":(\d{1,15}),"row":/.exec(text);
  if (match === null || !text.endsWith('}')) return undefined;
  return { source: match[1] as RowSource, segment: Number(match[2]), row: text.slice(match[0].length, -1) };
}

export function fromSegmentLine(read: z.infer<typeof segmentLine>): Segment {
  return {
    number: read.number,
    source: read.source,
    version: read.version,
    until: { end: read.until_end, open: read.until_open },
    ...(read.upto_position === undefined ? {} : { upto: { position: read.upto_position, key: read.upto_key ?? '' } }),
    leaves: read.leaves,
    leafKeys: Buffer.from(read.leaf_keys, 'base64'),
    leafDigests: Buffer.from(read.leaf_digests, 'base64'),
    ...(read.note === undefined ? {} : { note: read.note }),
    previousHash: Buffer.from(read.previous_hash, 'hex'),
    hash: Buffer.from(read.hash, 'hex'),
    sealedAt: read.sealed_at,
  };
}

export function fromCheckpointLine(read: z.infer<typeof checkpointLine>): Checkpoint {
  return {
    number: read.number,
    segment: read.segment,
    hash: Buffer.from(read.hash, 'hex'),
    leaves: read.leaves,
    keyId: read.key_id,
    signedAt: read.signed_at,
    signature: Buffer.from(read.signature, 'base64'),
  };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
