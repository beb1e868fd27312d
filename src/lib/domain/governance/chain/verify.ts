import type { Queryable } from '../../../infra/database/connection.ts';
import { ChainVerifier, type NotedCheckpoint } from './chain-verifier.ts';
import { type Finding, Findings } from './findings.ts';
import { type Checkpoint, noSnapshot, type RowSource, rowSources, type Segment } from './format.ts';
import { RowVerifier, survivors } from './row-verifier.ts';
import { canonicalForms, places } from './rows.ts';
import { chainHead } from './seal.ts';
import { checkpointsOf, lastCheckpoint, lastSegment, segmentsFrom, segmentsOf, sourceStates } from './store.ts';

/** Segments that are read at once. */
const pageSegments = 64;

export interface VerifyOptions {
  /** Begin with the first segment that was sealed then or later. */
  readonly since?: Date | undefined;
  /** Ids of keys that are known from elsewhere; without them the chain's own word on its keys is taken. */
  readonly trusted?: readonly string[] | undefined;
  readonly noted?: NotedCheckpoint | undefined;
  readonly onProgress?: ((done: VerifyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifyProgress {
  readonly segment: number;
  readonly ofSegments: number;
  readonly rows: number;
}

/** What is committed and not sealed yet. */
export interface UnsealedTail {
  readonly rows: number;
  /** ISO 8601, of the oldest of them. */
  readonly oldest?: string;
}

export interface Verification {
  readonly segments: number;
  readonly checkpoints: number;
  /** Rows that were compared. */
  readonly rows: number;
  /** Rows whose content was deleted at the end of its retention: their digests are in the chain. */
  readonly pruned: number;
  readonly unsealed: UnsealedTail;
  /** The last checkpoint: noted down elsewhere, it proves later that nothing before it was taken away. */
  readonly head?: { readonly number: number; readonly hash: string; readonly signedAt: string; readonly keyId: string };
  /** The first hundred. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
}

/**
 * Compares every row that was sealed with the chain, and the chain with itself and its signatures, in bounded memory.
 * @param tx a transaction in one snapshot (repeatable read) and in UTC
 * @throws DatabaseUnavailableError; the signal's reason
 */
export async function verifyChain(tx: Queryable, options: VerifyOptions = {}): Promise<Verification> {
  const findings = new Findings();
  const forms = await canonicalForms(tx);
  const first = await firstSegment(tx, options.since);
  const before = first === 1 ? undefined : await lastSegment(tx, undefined, first);
  const chain = new ChainVerifier(
    findings,
    {
      before,
      checkpoint: first === 1 ? undefined : await lastCheckpoint(tx, first - 1),
      sources: await sourceStates(tx, first),
      keys: (await segmentsOf(tx, 'key')).filter(({ number }) => number < first),
    },
    options.noted,
  );
  const prunedThrough = throughOf((await segmentsOf(tx, 'retention')).at(-1));
  const rows = new RowVerifier(tx, forms, findings);
  let pruned = 0;
  const ofSegments = (await lastSegment(tx))?.number ?? 0;
  for await (const { segment, checkpoint } of chainFrom(tx, first)) {
    options.signal?.throwIfAborted();
    const range = chain.segment(segment);
    const { source, number } = segment;
    if (range !== undefined && number <= prunedThrough) pruned += segment.leaves;
    else if (range !== undefined) await rows.add(source as RowSource, segment, range);
    if (checkpoint !== undefined) chain.checkpoint(checkpoint);
    if (number % pageSegments === 0) options.onProgress?.({ segment: number, ofSegments, rows: rows.checked });
  }
  await rows.end();
  chain.end(options.trusted);
  await checkBeyond(tx, findings, ofSegments);
  if (prunedThrough > 0) await checkPruned(tx, findings, prunedThrough);
  return {
    segments: chain.segments,
    checkpoints: chain.checkpoints,
    rows: rows.checked,
    pruned,
    unsealed: await unsealedTail(tx),
    ...headOf(chain),
    findings: findings.list,
    findingCount: findings.count,
  };
}

/** The last checkpoint, if there is one. */
export function headOf({ signed }: ChainVerifier): Pick<Verification, 'head'> {
  if (signed === undefined) return {};
  const { number, hash, signedAt, keyId } = signed;
  return { head: { number, hash: hash.toString('hex'), signedAt, keyId } };
}

/** The segments from one on, each with its checkpoint, a page at a time. */
export async function* chainFrom(
  tx: Queryable,
  first: number,
): AsyncGenerator<{ readonly segment: Segment; readonly checkpoint: Checkpoint | undefined }> {
  for (let next = first; ; ) {
    const page = await segmentsFrom(tx, next, pageSegments);
    const last = page.at(-1);
    if (last === undefined) return;
    const checkpoints = new Map((await checkpointsOf(tx, next, last.number)).map((one) => [one.segment, one]));
    for (const segment of page) yield { segment, checkpoint: checkpoints.get(segment.number) };
    if (!Number.isSafeInteger(last.number)) return; // nobody's number: the chain has ended before it
    next = last.number + 1;
  }
}

async function firstSegment(tx: Queryable, since: Date | undefined): Promise<number> {
  if (since === undefined) return 1;
  const [row] = await tx.query<{ number: number | null }>(
    'SELECT min(number) AS number FROM audit.segments WHERE sealed_at >= $1',
    [since],
  );
  return row?.number ?? ((await lastSegment(tx))?.number ?? 0) + 1;
}

/** The segment up to which rows were deleted, as the chain says it. */
export function throughOf(segment: Segment | undefined): number {
  try {
    const { through } = JSON.parse(segment?.note ?? '{}') as { through?: unknown };
    return typeof through === 'number' && Number.isSafeInteger(through) ? through : 0;
  } catch {
    return 0; // a note that was changed is found by its segment's hash
  }
}

/** A checkpoint of a segment that is not there. */
async function checkBeyond(tx: Queryable, findings: Findings, last: number): Promise<void> {
  for (const { number, segment } of await checkpointsOf(tx, last + 1, Number.MAX_SAFE_INTEGER)) {
    findings.add('segment_missing', segment, `Checkpoint ${number} is of segment ${segment}, which is missing.`);
  }
}

async function checkPruned(tx: Queryable, findings: Findings, through: number): Promise<void> {
  for (const source of rowSources) {
    const last = await lastSegment(tx, source, through + 1);
    if (last !== undefined && Number.isSafeInteger(last.until.end)) {
      await survivors(tx, source, { since: noSnapshot, until: last.until }, findings);
    }
  }
}

/** What PostgreSQL reads as a key of that type. */
const keyForms = { uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, bigint: /^\d{1,18}$/ } as const;

export async function unsealedTail(tx: Queryable): Promise<UnsealedTail> {
  const { sources } = await chainHead(tx);
  let rows = 0;
  let oldest: string | undefined;
  for (const source of rowSources) {
    const { since, part } = sources[source];
    const { table, time, key, type } = places[source];
    if (![since.end, ...since.open].every((n) => Number.isSafeInteger(n))) continue;
    // Nobody's key: its segment was found to be changed already.
    if (part?.upto !== undefined && !keyForms[type].test(part.upto.key)) continue;
    const [row] = await tx.query<{ rows: number; oldest: string | null }>(
      `SELECT count(*) AS rows, to_char(min(${time}), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS oldest FROM ${table}
       WHERE (position >= $1 OR position = ANY ($2::bigint[]))
         AND ($3::bigint IS NULL OR position >= $5 OR position = ANY ($6::bigint[]) OR (position, ${key}) > ($3, $4::${type}))`,
      [
        since.end,
        since.open,
        part?.upto?.position ?? null,
        part?.upto?.key ?? null,
        part?.until.end ?? null,
        part?.until.open ?? [],
      ],
    );
    rows += row?.rows ?? 0;
    if (row?.oldest && (oldest === undefined || row.oldest < oldest)) oldest = row.oldest;
  }
  return { rows, ...(oldest === undefined ? {} : { oldest }) };
}
