import { createHash } from 'node:crypto';
import type { Queryable } from '../../../infra/database/connection.ts';
import { ChainVerifier } from './chain-verifier.ts';
import { type ExportHead, exportPage, toCheckpointLine, toEndLine, toRowLine, toSegmentLine } from './export-lines.ts';
import { Findings } from './findings.ts';
import { keyBytes, type RowSource, type Segment } from './format.ts';
import { type CanonicalForms, canonicalForms, places, type Range, rowsIn } from './rows.ts';
import { chainFrom } from './verify.ts';

/** Which rows are asked for; all of them without a filter. */
export interface ExportFilter {
  readonly server?: string | undefined;
  /** A user's name. */
  readonly user?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

interface Bound {
  readonly source: RowSource;
  readonly range: Range;
  readonly segments: Segment[];
}

/**
 * The chain as a whole and the rows that were asked for, as lines that verify without the instance; in bounded memory.
 * @param tx a transaction in one snapshot (repeatable read) and in UTC
 */
export async function* exportChain(tx: Queryable, filter: ExportFilter): AsyncGenerator<string> {
  const sum = createHash('sha256');
  for await (const line of linesOf(tx, filter)) {
    sum.update(line);
    yield line;
  }
  yield toEndLine(sum.digest('hex'));
}

async function* linesOf(tx: Queryable, filter: ExportFilter): AsyncGenerator<string> {
  const filters = Object.entries(filter).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value instanceof Date ? value.toISOString() : String(value)]],
  );
  const head: ExportHead = {
    type: 'export',
    version: 2,
    made_at: new Date().toISOString(),
    filters: Object.fromEntries(filters),
  };
  yield `${JSON.stringify(head)}\n`;
  const forms = await canonicalForms(tx);
  // It knows which rows belong to a segment; what it finds is a matter of verifying.
  const ranges = new ChainVerifier(new Findings());
  let page: Bound[] = [];
  let count = 0;
  for await (const { segment, checkpoint } of chainFrom(tx, 1)) {
    const range = ranges.segment(segment);
    yield toSegmentLine(segment);
    if (checkpoint !== undefined) yield toCheckpointLine(checkpoint);
    if (range !== undefined && segment.leaves > 0) join(page, segment, range);
    count += 1;
    if (count % exportPage !== 0) continue;
    yield* rowsOf(tx, forms, page, filter);
    page = [];
  }
  yield* rowsOf(tx, forms, page, filter);
}

/** Neighbours are asked for at once, unless they end within a snapshot. */
function join(page: Bound[], segment: Segment, range: Range): void {
  const whole = (one: Range) => one.after === undefined && one.upto === undefined;
  const index = page.findLastIndex(({ source }) => source === segment.source);
  const before = page[index];
  if (before !== undefined && whole(before.range) && whole(range)) {
    page[index] = {
      ...before,
      range: { since: before.range.since, until: range.until },
      segments: [...before.segments, segment],
    };
  } else page.push({ source: segment.source as RowSource, range, segments: [segment] });
}

async function* rowsOf(
  tx: Queryable,
  forms: CanonicalForms,
  page: readonly Bound[],
  filter: ExportFilter,
): AsyncGenerator<string> {
  for (const { source, range, segments } of page) {
    const numbers = new Map<string, number>();
    for (const { number, leaves, leafKeys } of segments) {
      for (let index = 0; index < leaves; index += 1) {
        numbers.set(leafKeys.toString('latin1', index * keyBytes, (index + 1) * keyBytes), number);
      }
    }
    const { sql, params } = rowsIn(source, range, numbers.size);
    const wanted = conditionOf(source, filter, params.length);
    const rows = await tx.query<{ packed: Buffer; row: string }>(
      `SELECT ${places[source].packed} AS packed, ${forms[source]} AS row FROM (${sql}) found WHERE ${wanted.sql}`,
      [...params, ...wanted.params],
    );
    for (const { packed, row } of rows) {
      const number = numbers.get(packed.toString('latin1'));
      if (number !== undefined) yield toRowLine(source, number, row);
    }
  }
}

/** What of a row `r` is asked for. An outcome is of the server and the user of its intent. */
function conditionOf(source: RowSource, filter: ExportFilter, taken: number): { sql: string; params: unknown[] } {
  const params: unknown[] = [];
  const parts: string[] = [];
  const add = (sql: string, value: unknown) => {
    if (value === undefined) return;
    params.push(value);
    parts.push(sql.replaceAll('?', `$${taken + params.length}`));
  };
  const { server, user, since, until } = filter;
  add(`(r).${places[source].time} >= ?::timestamptz`, since);
  add(`(r).${places[source].time} <= ?::timestamptz`, until);
  const ofIntent = (column: string) =>
    `EXISTS (SELECT FROM audit.tool_intents i WHERE i.execution_id = (r).execution_id AND i.${column} = ?)`;
  const named = '(SELECT u.id FROM public.users u WHERE u.name = ?)';
  add({ intent: '(r).server = ?', outcome: ofIntent('server'), identity: '(r).resource = ?' }[source], server);
  add(
    {
      intent: '(r).user_name = ?',
      outcome: ofIntent('user_name'),
      identity: `((r).user_id IN ${named} OR (r).actor_id IN ${named})`,
    }[source],
    user,
  );
  return { sql: parts.length === 0 ? 'true' : parts.join(' AND '), params };
}
