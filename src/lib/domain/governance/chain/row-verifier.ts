import type { Queryable } from '../../../infra/database/connection.ts';
import type { Findings } from './findings.ts';
import { digestBytes, keyBytes, type RowSource, type Segment, unpackKey } from './format.ts';
import { type CanonicalForms, leavesIn, places, type Range, rowsIn } from './rows.ts';

/** So many rows, or segments of few rows, are asked for at once. */
const batchRows = 8192;
const batchSegments = 4096;
/** How many rows too many are named at most in one batch. */
const tooMany = 100;

interface Batch {
  range: Range;
  readonly segments: Segment[];
  rows: number;
}

/**
 * Compares the rows of the tables with the leaves of the chain. Neighbouring segments are compared at once: together they
 * have the rows that the last one's snapshot sees and the first one's before did not.
 */
export class RowVerifier {
  readonly #tx: Queryable;
  readonly #forms: CanonicalForms;
  readonly #findings: Findings;
  readonly #batches = new Map<RowSource, Batch>();
  checked = 0;

  constructor(tx: Queryable, forms: CanonicalForms, findings: Findings) {
    this.#tx = tx;
    this.#forms = forms;
    this.#findings = findings;
  }

  async add(source: RowSource, segment: Segment, range: Range): Promise<void> {
    // A part of a snapshot is bounded by rows, which would be no bounds for its neighbours.
    const alone = range.after !== undefined || range.upto !== undefined;
    if (alone) await this.#compareOf(source);
    const batch = this.#batches.get(source);
    if (batch === undefined) this.#batches.set(source, { range, segments: [segment], rows: segment.leaves });
    else {
      batch.segments.push(segment);
      batch.rows += segment.leaves;
      batch.range = { since: batch.range.since, until: range.until };
    }
    const full = this.#batches.get(source);
    if (alone || (full?.rows ?? 0) >= batchRows || (full?.segments.length ?? 0) >= batchSegments) {
      await this.#compareOf(source);
    }
  }

  async end(): Promise<void> {
    for (const source of [...this.#batches.keys()]) await this.#compareOf(source);
  }

  async #compareOf(source: RowSource): Promise<void> {
    const batch = this.#batches.get(source);
    if (batch === undefined) return;
    this.#batches.delete(source);
    const found = await leavesIn(this.#tx, this.#forms, source, batch.range, batch.rows + tooMany);
    this.checked += found.count;
    // Nearly always: the same rows in the same order.
    if (
      batch.segments.length === 1 &&
      batch.segments[0]?.leafKeys.equals(found.keys) &&
      batch.segments[0].leafDigests.equals(found.digests)
    ) {
      return;
    }
    const unmet = new Map<string, { readonly segment: number; readonly digest: Buffer }>();
    for (const { number, leaves, leafKeys, leafDigests } of batch.segments) {
      for (let index = 0; index < leaves; index += 1) {
        const key = leafKeys.toString('latin1', index * keyBytes, (index + 1) * keyBytes);
        if (unmet.has(key))
          this.#findings.add('segment_damaged', number, `Segment ${number} has a row that is in the chain already.`);
        unmet.set(key, {
          segment: number,
          digest: leafDigests.subarray(index * digestBytes, (index + 1) * digestBytes),
        });
      }
    }
    for (let index = 0; index < found.count; index += 1) {
      const key = found.keys.toString('latin1', index * keyBytes, (index + 1) * keyBytes);
      const leaf = unmet.get(key);
      const name = () => nameOf(source, Buffer.from(key, 'latin1'));
      if (leaf === undefined) {
        const { number } = batch.segments[0] as Segment;
        this.#findings.add(
          'row_inserted',
          number,
          `${name()} is not in the chain, though it is as old as what is sealed.`,
        );
        continue;
      }
      unmet.delete(key);
      const digest = found.digests.subarray(index * digestBytes, (index + 1) * digestBytes);
      if (!digest.equals(leaf.digest)) this.#findings.add('row_changed', leaf.segment, `${name()} was changed.`);
    }
    for (const [key, { segment }] of unmet) {
      this.#findings.add('row_missing', segment, `${nameOf(source, Buffer.from(key, 'latin1'))} is missing.`);
    }
  }
}

/** Rows that are there although the retention says that they were deleted. */
export async function survivors(tx: Queryable, source: RowSource, range: Range, findings: Findings): Promise<void> {
  const { sql, params } = rowsIn(source, range, tooMany);
  const rows = await tx.query<{ key: string }>(`SELECT ${places[source].key}::text AS key FROM (${sql}) found`, params);
  for (const { key } of rows) {
    findings.add('row_inserted', undefined, `${titles[source]} ${key} is there, though rows of that age were deleted.`);
  }
}

const titles: Readonly<Record<RowSource, string>> = {
  intent: 'Intent',
  outcome: 'Outcome',
  identity: 'Identity event',
};

export function nameOf(source: RowSource, key: Buffer): string {
  return `${titles[source]} ${unpackKey(source, key)}`;
}
