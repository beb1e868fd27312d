import { type KeyObject, verify } from 'node:crypto';
import type { Findings } from './findings.ts';
import {
  type Checkpoint,
  canonicalVersion,
  checkpointBytes,
  digestBytes,
  genesis,
  keyBytes,
  noSnapshot,
  type RowSource,
  rowSources,
  type Segment,
  type SourceState,
  segmentHash,
} from './format.ts';
import { isIntroduced, publicKeyOf, readKeyNote } from './keys.ts';
import type { Range } from './rows.ts';

/** A checkpoint that somebody noted down elsewhere: what it says must still be in the chain. */
export interface NotedCheckpoint {
  readonly number: number;
  readonly hash: string;
}

export interface ChainStart {
  /** The segment before the first that is looked at. */
  readonly before?: Segment | undefined;
  readonly checkpoint?: Checkpoint | undefined;
  /** For each source what was sealed of it before. */
  readonly sources?: Readonly<Record<RowSource, SourceState>> | undefined;
  /** Keys that were introduced before. */
  readonly keys?: readonly Segment[];
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const keyForms: Readonly<Record<RowSource, RegExp>> = { intent: uuid, outcome: uuid, identity: /^\d{1,18}$/ };

/** Checks segments and checkpoints one after another: numbers, hashes, signatures, keys. Knows nothing of rows. */
export class ChainVerifier {
  readonly #findings: Findings;
  readonly #noted: NotedCheckpoint | undefined;
  #notedSeen = false;
  readonly #keys = new Map<string, { readonly key: KeyObject; readonly vouchedBy: string | undefined }>();
  readonly #sources: Record<RowSource, SourceState>;
  #number: number;
  #hash: Buffer;
  #leaves = 0;
  #leavesKnown: boolean;
  #checkpoint: number;
  #key: string | undefined;
  /** The last segment that a checkpoint covers, and by which key. */
  signed: Checkpoint | undefined;
  segments = 0;
  checkpoints = 0;
  leaves = 0;

  constructor(findings: Findings, start: ChainStart = {}, noted?: NotedCheckpoint) {
    this.#findings = findings;
    this.#noted = noted;
    this.#number = start.before?.number ?? 0;
    this.#hash = start.before?.hash ?? genesis;
    this.#checkpoint = start.checkpoint?.number ?? 0;
    this.#leaves = start.checkpoint?.leaves ?? 0;
    this.#leavesKnown = start.before === undefined || start.checkpoint?.segment === start.before.number;
    this.#sources = {
      intent: { since: noSnapshot },
      outcome: { since: noSnapshot },
      identity: { since: noSnapshot },
      ...start.sources,
    };
    for (const segment of start.keys ?? []) this.#introduce(segment);
  }

  /** @returns which rows it has, when it has rows and its bounds can be used */
  segment(segment: Segment): Range | undefined {
    const { number, source } = segment;
    this.segments += 1;
    this.leaves += segment.leaves;
    if (number !== this.#number + 1) {
      const missing =
        number === this.#number + 2 ? `Segment ${number - 1} is` : `Segments ${this.#number + 1} to ${number - 1} are`;
      this.#findings.add('segment_missing', number, `${missing} missing.`);
    } else if (!segment.previousHash.equals(this.#hash)) {
      this.#findings.add('segment_damaged', number, `Segment ${number} does not follow on the one before it.`);
    }
    const damaged = damageOf(segment);
    if (damaged !== undefined) this.#findings.add('segment_damaged', number, `Segment ${number} ${damaged}.`);
    this.#number = number;
    this.#hash = segment.hash;
    this.#leaves += segment.leaves;
    if (source === 'key') {
      this.#introduce(segment);
      return undefined;
    }
    // What is of no source that there is was found to be changed.
    if (source === 'retention' || !rowSources.includes(source)) return undefined;
    return this.#rangeOf(segment, source);
  }

  /** The checkpoint of the segment that was just looked at. */
  checkpoint(checkpoint: Checkpoint): void {
    const { number, segment, keyId } = checkpoint;
    this.checkpoints += 1;
    if (number !== this.#checkpoint + 1) {
      this.#findings.add(
        'checkpoint_missing',
        segment,
        `Checkpoint ${number} follows on checkpoint ${this.#checkpoint}.`,
      );
    }
    this.#checkpoint = number;
    const wrong = (why: string) =>
      this.#findings.add('checkpoint_forged', segment, `Checkpoint ${number} of segment ${segment} ${why}.`);
    if (segment !== this.#number || !checkpoint.hash.equals(this.#hash)) wrong('is not of the chain as it is');
    if (this.#leavesKnown && checkpoint.leaves !== this.#leaves) wrong('counts other rows');
    this.#leaves = checkpoint.leaves;
    this.#leavesKnown = true;
    const known = this.#keys.get(keyId);
    if (known === undefined || keyId !== this.#key)
      wrong(`is signed by the key ${keyId.slice(0, 40)}, which was not in force`);
    else if (!verify(null, checkpointBytes(checkpoint), known.key, checkpoint.signature)) {
      wrong('has a signature that does not fit');
    }
    if (number === this.#noted?.number) {
      this.#notedSeen = true;
      if (checkpoint.hash.toString('hex') !== this.#noted.hash) {
        this.#findings.add(
          'truncated',
          segment,
          `Checkpoint ${number} is not the one that was noted: the chain is another.`,
        );
      }
    }
    this.signed = checkpoint;
  }

  /**
   * Called at the end.
   * @param trusted ids of keys that are known from elsewhere: the last checkpoint must be of one of them, or of a key that they
   *   vouch for
   */
  end(trusted?: readonly string[]): void {
    const { signed } = this;
    if (this.#number > 0 && signed?.segment !== this.#number && this.segments > 0) {
      this.#findings.add('checkpoint_missing', this.#number, 'The end of the chain is not signed.');
    }
    if (this.#noted !== undefined && !this.#notedSeen && this.#checkpoint < this.#noted.number) {
      this.#findings.add(
        'truncated',
        undefined,
        `Checkpoint ${this.#noted.number} was noted, and the chain ends with checkpoint ${this.#checkpoint}.`,
      );
    }
    if (trusted === undefined || signed === undefined) return;
    for (let id: string | undefined = signed.keyId, steps = 0; steps <= this.#keys.size; steps += 1) {
      if (id !== undefined && trusted.includes(id)) return;
      id = id === undefined ? undefined : this.#keys.get(id)?.vouchedBy;
    }
    this.#findings.add(
      'key_untrusted',
      signed.segment,
      `The last checkpoint is signed by ${signed.keyId}, for which no trusted key vouches.`,
    );
  }

  #introduce(segment: Segment): void {
    const wrong = (why: string) =>
      this.#findings.add('segment_damaged', segment.number, `Segment ${segment.number} ${why}.`);
    const note = readKeyNote(segment.note ?? '');
    const key = note && publicKeyOf(note.key_id, note.public_key);
    if (note === undefined || key === undefined) {
      wrong('introduces no key');
      return;
    }
    let vouchedBy: string | undefined;
    if (note.introduced_by !== undefined) {
      const former = this.#keys.get(note.introduced_by);
      if (former !== undefined && isIntroduced(note, former.key)) vouchedBy = note.introduced_by;
      else wrong('introduces a key for which the former one does not vouch');
    }
    if (!this.#keys.has(note.key_id)) this.#keys.set(note.key_id, { key, vouchedBy });
    this.#key = note.key_id;
  }

  #rangeOf(segment: Segment, source: RowSource): Range | undefined {
    const { since, part } = this.#sources[source];
    const { until, upto } = segment;
    this.#sources[source] = upto === undefined ? { since: until } : { since, part: { until, upto } };
    if (part !== undefined && JSON.stringify(part.until) !== JSON.stringify(until)) {
      this.#findings.add(
        'segment_damaged',
        segment.number,
        `Segment ${segment.number} ends elsewhere than the part before it.`,
      );
    }
    const after = part?.upto;
    const cursors = [upto, after].every((one) => one === undefined || keyForms[source].test(one.key));
    const usable = cursors && [until.end, ...until.open, upto?.position ?? 0].every((n) => Number.isSafeInteger(n));
    return usable ? { since, until, after, upto } : undefined;
  }
}

/** What is wrong with a segment by itself. */
function damageOf(segment: Segment): string | undefined {
  const { leaves, leafKeys, leafDigests } = segment;
  if (!segmentHash(segment).equals(segment.hash)) return 'was changed';
  if (segment.version !== canonicalVersion) return `is of version ${segment.version}, which this program does not know`;
  if (leafKeys.length !== leaves * keyBytes || leafDigests.length !== leaves * digestBytes)
    return 'is not as long as it says';
  return undefined;
}
