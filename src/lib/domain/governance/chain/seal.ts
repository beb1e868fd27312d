import { sign } from 'node:crypto';
import type { Queryable } from '../../../infra/database/connection.ts';
import {
  canonicalVersion,
  checkpointBytes,
  genesis,
  noSnapshot,
  type RowSource,
  rowSources,
  type Segment,
  type SegmentBody,
  type Snapshot,
  type SourceState,
  segmentHash,
} from './format.ts';
import { introduce, readKeyNote, type SigningKey } from './keys.ts';
import { anyBeyond, type CanonicalForms, canonicalForms, leavesIn, type Range } from './rows.ts';
import { insertCheckpoint, insertSegment, lastCheckpoint, lastSegment, sourceStates } from './store.ts';

/** Most rows of a segment. */
const segmentRows = 2048;
/** Most segments of a source in one pass: so much of a backlog is sealed at once, and lost when it fails. */
const passSegments = 16;

export interface SealOptions {
  readonly key: SigningKey;
  /** What is added to the numbers of transactions on this server. */
  readonly base: number;
  /** The key before this one, which vouches for it. */
  readonly former?: SigningKey | undefined;
  readonly segmentRows?: number;
  readonly passSegments?: number;
}

/** Where the chain is. Who holds the sealer's lock knows it without asking. */
export interface ChainHead {
  readonly number: number;
  readonly hash: Buffer;
  readonly leaves: number;
  readonly checkpoint: number;
  readonly keyId?: string | undefined;
  readonly sources: Readonly<Record<RowSource, SourceState>>;
}

export interface Sealed {
  readonly head: ChainHead;
  readonly segments: number;
  readonly rows: number;
  /** Whether there is more to seal at once. */
  readonly more: boolean;
}

/** Reads where the chain is. */
export async function chainHead(database: Queryable): Promise<ChainHead> {
  const [last, checkpoint, key] = [
    await lastSegment(database),
    await lastCheckpoint(database),
    await lastSegment(database, 'key'),
  ];
  return {
    number: last?.number ?? 0,
    hash: last?.hash ?? genesis,
    leaves: checkpoint?.leaves ?? 0,
    checkpoint: checkpoint?.number ?? 0,
    keyId: key?.note === undefined ? undefined : readKeyNote(key.note)?.key_id,
    sources: await sourceStates(database),
  };
}

/** The snapshot of this moment, in positions. @param base what is added to the numbers of transactions on this server */
async function snapshotNow(database: Queryable, base: number): Promise<Snapshot> {
  const [row] = await database.query<{ now: string }>('SELECT pg_current_snapshot()::text AS now');
  const [, end, open = ''] = (row?.now ?? '').split(':');
  const numbers = open === '' ? [] : open.split(',').map((xid) => Number(xid) + base);
  return { end: Number(end) + base, open: numbers };
}

/** Whether there is anything to seal. One question, of indexes alone. */
export async function anyUnsealed(database: Queryable, head: ChainHead): Promise<boolean> {
  const parts: string[] = [];
  const params: unknown[] = [];
  for (const source of rowSources) {
    const { since, part } = head.sources[source];
    if (part !== undefined) return true;
    parts.push(anyBeyond(source, params.length + 1));
    params.push(since.end, since.open);
  }
  const [row] = await database.query<{ any: boolean }>(`SELECT ${parts.join(' OR ')} AS any`, params, {
    name: 'audit_any_unsealed',
  });
  return row?.any === true;
}

/**
 * Seals what is committed, and signs it: all of it in the open transaction, so that a pass is there as a whole or not at
 * all. Only for the one who holds the sealer's lock.
 * @param tx a transaction in which the time zone is UTC
 */
export async function sealPass(tx: Queryable, head: ChainHead, options: SealOptions): Promise<Sealed> {
  const now = await snapshotNow(tx, options.base);
  const forms = await canonicalForms(tx);
  const chain = new Appender(tx, head);
  if (head.keyId !== options.key.id) await chain.note('key', introduce(options.key, options.former), now);
  let more = false;
  for (const source of rowSources) more = (await sealSource(tx, forms, chain, source, now, options)) || more;
  return { ...(await chain.sign(options.key)), more };
}

/** @returns whether there are rows left */
async function sealSource(
  tx: Queryable,
  forms: CanonicalForms,
  chain: Appender,
  source: RowSource,
  now: Snapshot,
  { segmentRows: rows = segmentRows, passSegments: segments = passSegments }: SealOptions,
): Promise<boolean> {
  for (let count = 0; count < segments; count += 1) {
    const { since, part } = chain.sources[source];
    const range: Range = { since, until: part?.until ?? now, after: part?.upto };
    const found = await leavesIn(tx, forms, source, range, rows);
    const rest = found.count === rows;
    // A snapshot that was sealed in part ends with a segment that says so, though there may be no row left for it.
    if (found.count > 0 || part !== undefined) {
      await chain.append({
        source,
        until: range.until,
        ...(rest && found.last !== undefined ? { upto: found.last } : {}),
        leaves: found.count,
        leafKeys: found.keys,
        leafDigests: found.digests,
      });
    }
    // What came while a former snapshot was sealed in parts is next.
    if (!rest && part === undefined) return false;
  }
  return true;
}

/** Adds an entry that retention has come to the rows of every segment up to one, and deletes them. */
export async function pruneThrough(
  tx: Queryable,
  head: ChainHead,
  options: { readonly key: SigningKey; readonly through: number; readonly before: string },
): Promise<{ readonly head: ChainHead; readonly rows: number }> {
  const chain = new Appender(tx, head);
  await chain.note('retention', { through: options.through, before: options.before }, noSnapshot);
  const sealed = await chain.sign(options.key);
  const [row] = await tx.query<{ rows: number }>('SELECT audit.prune() AS rows');
  return { head: sealed.head, rows: row?.rows ?? 0 };
}

type Entry = Pick<SegmentBody, 'source' | 'until' | 'upto' | 'leaves' | 'leafKeys' | 'leafDigests' | 'note'>;

/** Adds segments one after another, each bound to the one before it. */
class Appender {
  readonly #tx: Queryable;
  #head: ChainHead;
  #segments = 0;
  #rows = 0;

  constructor(tx: Queryable, head: ChainHead) {
    this.#tx = tx;
    this.#head = head;
  }

  get sources(): ChainHead['sources'] {
    return this.#head.sources;
  }

  async note(source: 'key' | 'retention', note: object, until: Snapshot): Promise<void> {
    const none = Buffer.alloc(0);
    await this.append({ source, until, leaves: 0, leafKeys: none, leafDigests: none, note: JSON.stringify(note) });
  }

  async append(entry: Entry): Promise<void> {
    const head = this.#head;
    const body: SegmentBody = {
      ...entry,
      number: head.number + 1,
      version: canonicalVersion,
      previousHash: head.hash,
      sealedAt: new Date().toISOString(),
    };
    const segment: Segment = { ...body, hash: segmentHash(body) };
    await insertSegment(this.#tx, segment);
    this.#segments += 1;
    this.#rows += entry.leaves;
    const sources = { ...head.sources };
    if (entry.source !== 'key' && entry.source !== 'retention') {
      const { since } = sources[entry.source];
      sources[entry.source] =
        entry.upto === undefined ? { since: entry.until } : { since, part: { until: entry.until, upto: entry.upto } };
    }
    this.#head = { ...head, number: segment.number, hash: segment.hash, leaves: head.leaves + entry.leaves, sources };
  }

  /** Signs the chain as it is, if anything was added. */
  async sign(key: SigningKey): Promise<Omit<Sealed, 'more'>> {
    if (this.#segments > 0) {
      const { number: segment, hash, leaves, checkpoint } = this.#head;
      const signedAt = new Date().toISOString();
      const unsigned = { number: checkpoint + 1, segment, hash, leaves, keyId: key.id, signedAt };
      await insertCheckpoint(this.#tx, {
        ...unsigned,
        signature: sign(null, checkpointBytes(unsigned), key.privateKey),
      });
      this.#head = { ...this.#head, checkpoint: unsigned.number, keyId: key.id };
    }
    return { head: this.#head, segments: this.#segments, rows: this.#rows };
  }
}
