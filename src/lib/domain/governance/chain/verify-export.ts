import { createHash, hash } from 'node:crypto';
import { UsageError } from '../../../shared/errors.ts';
import { ChainVerifier } from './chain-verifier.ts';
import {
  checkpointLine,
  exportHead,
  exportPage,
  fromCheckpointLine,
  fromSegmentLine,
  readRowLine,
  segmentLine,
  toEndLine,
} from './export-lines.ts';
import { Findings } from './findings.ts';
import { digestBytes, keyBytes, packKey, type RowSource, type Segment } from './format.ts';
import { nameOf } from './row-verifier.ts';
import { headOf, throughOf, type Verification, type VerifyOptions } from './verify.ts';

/** How many segments are kept for the rows that come after them; an export has 64 at a time. */
const keptSegments = 256;

interface Open {
  readonly segment: Segment;
  /** Digests by key, of rows that did not come yet. */
  readonly digests: Map<string, Buffer>;
}

/**
 * Verifies an export without the instance.
 * @param bytes of the file, as they come
 * @returns also how many rows were not asked for when it was made
 * @throws UsageError when it is no export
 */
export async function verifyExport(
  bytes: AsyncIterable<Buffer>,
  options: Pick<VerifyOptions, 'trusted' | 'noted' | 'onProgress' | 'signal'>,
): Promise<Verification & { readonly absent: number }> {
  let reading: ExportVerifier | undefined;
  for await (const line of linesOf(bytes)) {
    options.signal?.throwIfAborted();
    if (reading !== undefined) {
      reading.line(line);
      continue;
    }
    const head = exportHead.safeParse(parsed(line.toString()));
    if (!head.success) throw noExport();
    reading = new ExportVerifier(Object.keys(head.data.filters).length > 0, options);
    reading.count(line);
  }
  if (reading === undefined) throw noExport();
  return reading.end();
}

const lineEnd = 10;
/** More than the longest line: a segment of as many rows as one has at most. */
const lineLimit = 64 * 1024 * 1024;

/**
 * Lines with their ends, by line feeds alone: a row may have any other character that somebody takes for the end of a line.
 * @throws UsageError when one is longer than any that is written
 */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(lineEnd); end !== -1; end = chunk.indexOf(lineEnd, from)) {
      const last = chunk.subarray(from, end + 1);
      yield parts.length === 0 ? last : Buffer.concat([...parts, last]);
      parts = [];
      length = 0;
      from = end + 1;
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > lineLimit) throw noExport();
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

class ExportVerifier {
  readonly #options: Pick<VerifyOptions, 'trusted' | 'noted' | 'onProgress'>;
  readonly #filtered: boolean;
  readonly #findings = new Findings();
  readonly #chain: ChainVerifier;
  readonly #open = new Map<number, Open>();
  readonly #absences: { readonly segment: number; readonly rows: number; readonly first: string }[] = [];
  #last = 0;
  #through = 0;
  #rows = 0;
  /** Of the lines so far. */
  readonly #sum = createHash('sha256');
  #ended = false;

  constructor(filtered: boolean, options: Pick<VerifyOptions, 'trusted' | 'noted' | 'onProgress'>) {
    this.#filtered = filtered;
    this.#options = options;
    this.#chain = new ChainVerifier(this.#findings, {}, options.noted);
  }

  /** Takes a line into the sum. */
  count(line: Buffer): void {
    this.#sum.update(line);
  }

  /** @param bytes with the line feed */
  line(bytes: Buffer): void {
    const text = bytes.toString('utf8', 0, bytes.at(-1) === lineEnd ? bytes.length - 1 : bytes.length);
    if (this.#ended) {
      this.#findings.add('segment_damaged', this.#last, 'There is more after the end.');
      return;
    }
    if (text.startsWith('{"type":"end"')) {
      this.#end(bytes);
      return;
    }
    this.count(bytes);
    const row = readRowLine(text);
    if (row !== undefined) {
      this.#rows += 1;
      checkRow(row, this.#open, this.#findings);
      return;
    }
    const value = parsed(text);
    const segment = segmentLine.safeParse(value);
    if (segment.success) {
      this.#segment(fromSegmentLine(segment.data));
      return;
    }
    const checkpoint = checkpointLine.safeParse(value);
    if (checkpoint.success) this.#chain.checkpoint(fromCheckpointLine(checkpoint.data));
    else this.#findings.add('segment_damaged', this.#last, `A line after segment ${this.#last} can't be read.`);
  }

  #end(bytes: Buffer): void {
    this.#ended = true;
    if (bytes.toString() === toEndLine(this.#sum.copy().digest('hex'))) return;
    this.#findings.add('segment_damaged', this.#last, 'The sum at the end is not that of the file.');
  }

  end(): Verification & { readonly absent: number } {
    if (!this.#ended)
      this.#findings.add('truncated', this.#last, 'The file has no end: it was cut off, or its end was changed.');
    for (const one of this.#open.values()) this.#close(one);
    const { pruned, absent } = this.#weigh();
    const chain = this.#chain;
    chain.end(this.#options.trusted);
    return {
      segments: chain.segments,
      checkpoints: chain.checkpoints,
      rows: this.#rows,
      pruned,
      absent,
      unsealed: { rows: 0 },
      ...headOf(chain),
      findings: this.#findings.list,
      findingCount: this.#findings.count,
    };
  }

  #segment(segment: Segment): void {
    const { number, source } = segment;
    const range = this.#chain.segment(segment);
    this.#last = number;
    if (source === 'retention') this.#through = throughOf(segment);
    if (range !== undefined) this.#open.set(number, { segment, digests: digestsOf(segment) });
    for (const [oldest, one] of this.#open) {
      if (this.#open.size <= keptSegments) break;
      this.#close(one);
      this.#open.delete(oldest);
    }
    if (number % exportPage === 0) {
      this.#options.onProgress?.({ segment: number, ofSegments: number, rows: this.#rows });
    }
  }

  #close({ segment, digests }: Open): void {
    const [first] = digests.keys();
    if (first === undefined) return;
    const named = nameOf(segment.source as RowSource, Buffer.from(first, 'latin1'));
    this.#absences.push({ segment: segment.number, rows: digests.size, first: named });
  }

  /** What became of the rows that are not in the file. */
  #weigh(): { pruned: number; absent: number } {
    let pruned = 0;
    let absent = 0;
    for (const { segment, rows, first } of this.#absences) {
      const all = rows === 1 ? `${first} is` : `${first} and ${rows - 1} more are`;
      if (segment <= this.#through) pruned += rows;
      else if (this.#filtered) absent += rows;
      else this.#findings.add('row_missing', segment, `${all} missing.`);
    }
    return { pruned, absent };
  }
}

function digestsOf({ leaves, leafKeys, leafDigests }: Segment): Map<string, Buffer> {
  const digests = new Map<string, Buffer>();
  for (let index = 0; index < leaves; index += 1) {
    const key = leafKeys.toString('latin1', index * keyBytes, (index + 1) * keyBytes);
    digests.set(key, leafDigests.subarray(index * digestBytes, (index + 1) * digestBytes));
  }
  return digests;
}

function checkRow(
  { source, segment, row }: { source: RowSource; segment: number; row: string },
  open: ReadonlyMap<number, Open>,
  findings: Findings,
): void {
  const read = parsed(row) as { execution_id?: unknown; id?: unknown } | undefined;
  const id = String((source === 'identity' ? read?.id : read?.execution_id) ?? '');
  const valid = source === 'identity' ? /^\d{1,18}$/.test(id) : /^[0-9a-f-]{36}$/.test(id);
  const of = open.get(segment);
  const key = valid ? packKey(source, id).toString('latin1') : '';
  const digest = of?.segment.source === source ? of.digests.get(key) : undefined;
  const named = `${source} ${id.slice(0, 40)}`;
  if (digest === undefined) {
    findings.add('row_inserted', segment, `The ${named} is not in segment ${segment}.`);
    return;
  }
  of?.digests.delete(key);
  if (hash('sha256', row, 'hex') !== digest.toString('hex')) {
    findings.add('row_changed', segment, `The ${named} was changed.`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // said by whoever asked
  }
}

function noExport(): UsageError {
  return new UsageError('That file is no export that can be verified.', {
    hint: 'Such a file is written by admin audit export --format jsonl',
  });
}
