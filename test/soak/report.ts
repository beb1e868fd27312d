import type { AuditReport } from './audit.ts';
import type { Evidence } from './evidence.ts';
import type { Recovery } from './recovery.ts';
import type { Growth } from './watch.ts';

const readyBarMs = 15_000;

/** One fault, or several at once, and how the system got over it. */
export interface Episode {
  readonly at: string;
  readonly faults: readonly { readonly kind: string; readonly what: string }[];
  readonly recovery: Recovery | undefined;
  /** Calls that failed from the first fault until all was well. */
  readonly failedCalls: number;
}

export interface SoakReport {
  readonly seed: number;
  readonly minutes: number;
  readonly node: string;
  readonly episodes: readonly Episode[];
  readonly calls: {
    readonly sent: number;
    readonly acknowledged: number;
    readonly failed: number;
    readonly failures: Readonly<Record<string, number>>;
  };
  readonly audit: AuditReport | undefined;
  /** Not gathered unless asked for. */
  readonly evidence?: Evidence | undefined;
  readonly orphans: readonly string[];
  readonly twins: readonly string[];
  /** After the last stop. */
  readonly left: {
    readonly ports: readonly number[];
    readonly sockets: readonly string[];
    readonly files: readonly string[];
    readonly processes: readonly string[];
  };
  readonly growth: readonly Growth[];
  readonly logs: readonly { readonly service: string; readonly files: number; readonly megabytes: number }[];
}

/** What the run is measured by: each with what was found. */
export function bars(report: SoakReport): { readonly bar: string; readonly met: boolean; readonly found: string }[] {
  const { audit, evidence, episodes, left } = report;
  const last = episodes.at(-1)?.recovery;
  const count = (list: readonly string[]) => (list.length === 0 ? 'none' : list.join('; '));
  const untrue =
    audit === undefined ? [] : [...audit.untrue, ...audit.unrecorded, ...audit.ranTwice, ...audit.invented];
  const leftovers = [...left.processes, ...left.ports.map((port) => `port ${port}`), ...left.sockets, ...left.files];
  return [
    {
      bar: 'every acknowledged call has one intent and one outcome that match; none ran twice or unrecorded, none is invented',
      met: audit !== undefined && untrue.length === 0 && audit.outcomesWithoutIntent === 0 && audit.acknowledged > 0,
      found: audit === undefined ? 'the audit could not be read' : count(untrue),
    },
    {
      bar: 'no call stays open in the audit',
      met: audit?.open === 0,
      found: audit === undefined ? 'the audit could not be read' : `${audit.open} open`,
    },
    {
      bar: 'the chain of the audit verifies, and nothing is left to seal',
      met:
        audit !== undefined && audit.chain.findings.length === 0 && audit.chain.unsealed === 0 && audit.chain.rows > 0,
      found:
        audit === undefined
          ? 'the audit could not be read'
          : `${audit.chain.rows} rows, ${audit.chain.unsealed} not sealed, findings: ${count(audit.chain.findings)}`,
    },
    ...(evidence === undefined
      ? []
      : [
          {
            bar: 'the commands verify the audit, and its export without the instance',
            met: evidence.unproven.length === 0,
            found: evidence.unproven.length === 0 ? 'they do' : count(evidence.unproven),
          },
          {
            bar: 'each of the flipped bytes is found',
            met: evidence.unnoticed.length === 0 && evidence.flips > 0,
            found: `${evidence.flips} flipped, not found: ${count(evidence.unnoticed)}`,
          },
        ]),
    { bar: 'no orphan', met: report.orphans.length === 0, found: count(report.orphans) },
    { bar: 'no twin', met: report.twins.length === 0, found: count(report.twins) },
    {
      bar: `every service ready within ${readyBarMs / 1000} s of the last fault`,
      met: last !== undefined && last.readyMs <= readyBarMs,
      found: last === undefined ? 'not ready' : `${last.readyMs} ms`,
    },
    {
      bar: 'every episode ended with everything ready',
      met: episodes.every(({ recovery }) => recovery !== undefined),
      found: `${episodes.filter(({ recovery }) => recovery === undefined).length} did not`,
    },
    { bar: 'nothing left after the stop', met: leftovers.length === 0, found: count(leftovers) },
  ];
}

/** The report for people. */
export function reportText(report: SoakReport): string {
  const { calls, audit, episodes } = report;
  const groups = Map.groupBy(episodes, ({ faults }) =>
    faults.length > 1 ? `several at once` : (faults[0]?.kind ?? ''),
  );
  const rows = [...groups].sort().map(([kind, list]) => {
    const times = list.flatMap(({ recovery }) => (recovery === undefined ? [] : [recovery.readyMs]));
    const orders = list.flatMap(({ recovery }) => recovery?.orders ?? []).length;
    const failed = list.reduce((sum, { failedCalls }) => sum + failedCalls, 0);
    const slow = times.filter((ms) => ms > readyBarMs).length;
    return [
      kind,
      list.length,
      times.length,
      quantile(times, 0.5),
      quantile(times, 0.99),
      quantile(times, 1),
      slow,
      orders,
      failed,
    ];
  });
  const all = episodes.flatMap(({ recovery }) => (recovery === undefined ? [] : [recovery.readyMs]));
  const serving = episodes.flatMap(({ recovery }) => (recovery === undefined ? [] : [recovery.servingMs]));
  const kinds = Map.groupBy(
    episodes.flatMap(({ faults }) => faults),
    ({ kind }) => kind,
  );
  const failures = Object.entries(calls.failures).sort(([, a], [, b]) => b - a);
  return [
    `Soak of ${report.minutes} min, seed ${report.seed}, Node.js ${report.node}`,
    '',
    `Faults: ${[...kinds]
      .sort()
      .map(([kind, list]) => `${list.length} ${kind}`)
      .join(', ')}`,
    '',
    table(['fault', 'times', 'recovered', 'p50 ms', 'p99 ms', 'max ms', '> 15 s', 'operator', 'calls failed'], rows),
    '',
    `Ready again: p50 ${quantile(all, 0.5)} ms, p99 ${quantile(all, 0.99)} ms, max ${quantile(all, 1)} ms; a call to each server answered: p50 ${quantile(serving, 0.5)} ms, p99 ${quantile(serving, 0.99)} ms`,
    `Calls: ${calls.sent} sent, ${calls.acknowledged} acknowledged, ${calls.failed} failed`,
    ...failures.map(([kind, count]) => `  ${String(count).padStart(7)}  ${kind}`),
    audit === undefined
      ? 'Audit: not read'
      : `Audit: ${audit.intents} intents; outcomes: ${Object.entries(audit.outcomes)
          .map(([status, count]) => `${count} ${status}`)
          .join(', ')}; ${audit.matching} of ${audit.acknowledged} acknowledged calls match`,
    '',
    table(
      ['longest life', 'pid', 's', 'MB first', 'MB last', 'MB max', 'files first', 'files last', 'files max'],
      report.growth.map(({ service, pid, seconds, rssMb, files }) => [
        service,
        pid,
        seconds,
        rssMb.first,
        rssMb.last,
        rssMb.max,
        files.first,
        files.last,
        files.max,
      ]),
    ),
    '',
    `Logs: ${report.logs.map(({ service, files, megabytes }) => `${service} ${files} files ${megabytes} MB`).join(', ')}`,
    '',
    ...bars(report).map(({ bar, met, found }) => `${met ? 'met   ' : 'MISSED'}  ${bar}: ${found}`),
  ].join('\n');
}

function quantile(values: readonly number[], q: number): number | string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? '';
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return cells.map(line).join('\n');
}
