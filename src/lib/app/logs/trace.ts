import type { AuditEntry, ToolApproval } from '../../domain/governance/index.ts';
import { NotFoundError, UsageError } from '../../shared/errors.ts';
import type { LogEntry } from './entries.ts';
import { allEntries, type LogPlaces } from './index.ts';
import type { LogRows } from './rows.ts';

/** What is logged of a call is logged so long before and after it, in ms. */
const aroundMs = 5_000;
const lineLimit = 200;
const callLimit = 100;

export type SpanKind = 'call' | 'rule' | 'approval' | 'server' | 'line';

/** One stretch of time, or with no duration one moment, of a trace. */
export interface TraceSpan {
  readonly id: string;
  /** Absent on a call: its caller's span is not on record. */
  readonly parent?: string;
  readonly kind: SpanKind;
  readonly name: string;
  readonly service: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** From the beginning of the trace, in ms. */
  readonly startMs: number;
  /** Absent of a line, and of what is not over. */
  readonly durationMs?: number;
  readonly status?: string;
  readonly execution?: string;
}

export interface Trace {
  readonly id: string;
  readonly calls: readonly AuditEntry[];
  /** Each call, then what it is made of in the order of time. */
  readonly spans: readonly TraceSpan[];
  /** There are more lines than are told. */
  readonly more: boolean;
}

/** Where approvals of calls are found. */
export type ApprovalOf = (id: string) => Promise<ToolApproval | undefined>;

/**
 * What is on record of a trace: its calls with what rules, people and servers took of their time, and the lines that name it.
 *
 * @param id a trace id, an execution id, or how one of these begins; lower case
 * @param since calls that began before are not looked for by the trace id of a client; a call is found by its own id
 * @throws UsageError when several calls begin so; NotFoundError when nothing does
 */
export async function traceOf(
  places: LogPlaces & { readonly rows: LogRows },
  id: string,
  since: Date,
  approvalOf: ApprovalOf,
): Promise<Trace> {
  const calls = await callsOf(places.rows, id, since);
  const [first] = calls;
  if (first === undefined) {
    throw new NotFoundError(`There is no call of the trace ${id}`, {
      hint: `Calls since ${since.toISOString()} were looked through; --since looks further back`,
      next: ['admin audit list'],
    });
  }
  const trace = first.traceId ?? first.executionId;
  const raw: Omit<TraceSpan, 'startMs'>[] = [];
  for (const call of calls) raw.push(...(await spansOfCall(call, approvalOf)));
  const { lines, more } = await linesOf(places, trace, calls);
  raw.push(...lines);
  const zero = Math.min(...raw.map(({ at }) => Date.parse(at)));
  const spans = raw.map((span) => ({ ...span, startMs: Date.parse(span.at) - zero }));
  return { id: trace, calls, spans: inOrder(spans), more };
}

/** By the id of a call, and all that have its trace id; or by the trace id alone. */
async function callsOf({ audit, actor }: LogRows, id: string, since: Date): Promise<AuditEntry[]> {
  const begun = await audit.startingWith(actor, id);
  if (begun.length > 1) {
    throw new UsageError(`${begun.length === 10 ? 'Ten or more' : begun.length} calls begin with ${id}`, {
      hint: 'Give more of the id',
      next: begun.slice(0, 3).map(({ executionId }) => `infra logs trace show ${executionId}`),
    });
  }
  const [call] = begun;
  if (call?.traceId === undefined && call !== undefined) return [call];
  const from = call === undefined || call.startedAt > since ? since : new Date(call.startedAt.getTime() - aroundMs);
  const found = await audit.ofTrace(actor, call?.traceId ?? id.replaceAll('-', ''), from, callLimit);
  const traces = new Set(found.map(({ traceId }) => traceId));
  if (traces.size > 1) {
    throw new UsageError(`${traces.size} traces begin with ${id}`, {
      hint: 'Give more of the id',
      next: found.slice(0, 3).map(({ executionId }) => `infra logs trace show ${executionId}`),
    });
  }
  return found.length === 0 && call !== undefined ? [call] : found;
}

/** What rules and hooks said, as it is kept with a call. */
interface KeptPolicy {
  readonly said?: readonly { readonly by: string; readonly verdict: string; readonly ms?: number }[];
  readonly approval?: { readonly id: string; readonly state: string; readonly by?: string };
}

/**
 * A call and its parts. Durations are on record, beginnings only that of the call: rules are put one after the other at its
 * beginning and, those on the answer, at its end, and the server before those.
 */
async function spansOfCall(call: AuditEntry, approvalOf: ApprovalOf): Promise<Omit<TraceSpan, 'startMs'>[]> {
  const { executionId, server, tool, via } = call;
  // The id begins with the time of the arrival (RFC 9562, 5.7); the row is written when rules and people have spoken.
  const begin = Number.parseInt(executionId.replaceAll('-', '').slice(0, 12), 16);
  const took = call.latencyUs === undefined ? undefined : call.latencyUs / 1_000;
  const base = { parent: executionId, execution: executionId };
  const at = (ms: number): string => new Date(ms).toISOString();
  const before = said(call.policy);
  const after = said(call.answerPolicy);
  const total = (kept: KeptSaid[]): number => kept.reduce((sum, { ms = 0 }) => sum + ms, 0);
  const end = begin + (took ?? 0) - total(after);
  const approval = (call.policy as KeptPolicy | null | undefined)?.approval;
  const asked = approval === undefined ? undefined : await approvalOf(approval.id);
  const rules = (kept: KeptSaid[], from: number, when: string) => {
    let start = from;
    return kept.map(({ by, verdict, ms }, index) => {
      const span = {
        ...base,
        id: `${executionId}/${when}/${index}`,
        kind: 'rule' as const,
        name: `${by}: ${verdict}`,
        service: 'api',
        at: at(start),
        ...(ms === undefined ? {} : { durationMs: ms }),
        status: verdict,
      };
      start += ms ?? 0;
      return span;
    });
  };
  return [
    {
      id: executionId,
      kind: 'call',
      name: via === undefined ? `call ${tool}` : `call ${tool} via ${via}`,
      service: `mcp:${server}`,
      at: at(begin),
      ...(took === undefined ? {} : { durationMs: took }),
      status: call.status,
      execution: executionId,
    },
    ...rules(before, begin, 'before'),
    ...(approval === undefined
      ? []
      : [
          {
            ...base,
            id: approval.id,
            kind: 'approval' as const,
            name: `approval: ${asked?.state ?? approval.state}${approval.by === undefined ? '' : ` by ${approval.by}`}`,
            service: 'api',
            at: asked?.askedAt.toISOString() ?? at(begin),
            ...(asked?.decidedAt === undefined
              ? {}
              : { durationMs: asked.decidedAt.getTime() - asked.askedAt.getTime() }),
            status: asked?.state ?? approval.state,
          },
        ]),
    ...(call.upstreamUs === undefined
      ? []
      : [
          {
            ...base,
            id: `${executionId}/server`,
            kind: 'server' as const,
            name: `server ${server}`,
            service: `mcp:${server}`,
            at: at(Math.max(begin, end - call.upstreamUs / 1_000)),
            durationMs: call.upstreamUs / 1_000,
          },
        ]),
    ...rules(after, end, 'after'),
  ];
}

type KeptSaid = NonNullable<KeptPolicy['said']>[number];

function said(policy: unknown): KeptSaid[] {
  return [...((policy as KeptPolicy | null | undefined)?.said ?? [])];
}

/** Lines that carry the trace or one of its calls. */
async function linesOf(places: LogPlaces, trace: string, calls: readonly AuditEntry[]) {
  const ids = [trace, ...calls.map(({ executionId }) => executionId)];
  const ends = calls.map(({ recordedAt }) => recordedAt?.getTime() ?? Date.now());
  const begins = calls.map(({ startedAt, latencyUs = 0 }) => startedAt.getTime() - latencyUs / 1_000);
  const since = new Date(Math.min(...begins) - aroundMs).toISOString();
  const until = new Date(Math.max(...ends) + aroundMs).toISOString();
  const lines: Omit<TraceSpan, 'startMs'>[] = [];
  let more = false;
  for await (const entry of allEntries(places, { since, until, sources: ['lines'] })) {
    const about = ids.filter((id) => entry.trace === id || entry.raw.includes(id));
    if (about.length === 0 || entry.at === '') continue;
    more = lines.length === lineLimit;
    if (more) break;
    lines.push(lineSpan(entry, about.find((id) => id !== trace) ?? calls[0]?.executionId, lines.length));
  }
  return { lines, more };
}

function lineSpan(entry: LogEntry, execution: string | undefined, index: number): Omit<TraceSpan, 'startMs'> {
  const { service, level, message, at } = entry;
  return {
    id: `line/${index}`,
    ...(execution === undefined ? {} : { parent: execution, execution }),
    kind: 'line',
    name: level === undefined ? message : `${level}: ${message}`,
    service,
    at,
  };
}

/** Calls by their beginning, each with its parts after it. */
function inOrder(spans: readonly TraceSpan[]): TraceSpan[] {
  const byStart = (a: TraceSpan, b: TraceSpan): number => a.startMs - b.startMs;
  const roots = spans.filter(({ parent }) => parent === undefined).sort(byStart);
  return roots.flatMap((root) => [root, ...spans.filter(({ parent }) => parent === root.id).sort(byStart)]);
}
