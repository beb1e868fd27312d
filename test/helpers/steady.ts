import { hostname, userInfo } from 'node:os';
import type { Artifact } from '../../src/lib/shared/artifact.ts';

/*
 * What a command gives differs from run to run in times, ids, ports and the like. They are replaced before it is drawn,
 * so that the columns of a table are as wide in every run as they are on record.
 */

interface Replacement {
  readonly name: string;
  readonly pattern: RegExp;
  readonly by: string;
}

const instant = '2026-01-31T12:00:00.000Z';

/** What is replaced within texts, in this order. */
const inTexts: readonly Replacement[] = [
  { name: 'token', pattern: /\beyJ[\w-]+(?:\.[\w-]*)+/g, by: 'eyJ0b2tlbg.eyJzdWIi.c2ln' },
  {
    name: 'id',
    pattern: /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g,
    by: '01930000-0000-7000-8000-000000000001',
  },
  // RFC 7638: SHA-256 as base64url.
  {
    name: 'thumbprint',
    pattern: /(?<![\w/.-])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{43}(?![\w/.-])/g,
    by: 'thumbprint'.padEnd(43, '0'),
  },
  { name: 'digest', pattern: /\b[0-9a-f]{64}\b/g, by: 'd19e57'.padEnd(64, '0') },
  { name: 'short digest', pattern: /\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,40}\b/g, by: 'd19e57000000' },
  {
    name: 'time',
    pattern: /\b20\d\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:[.,]\d+)?(Z| UTC|)/g,
    by: '2026-01-31$112:00:00.000$2',
  },
  { name: 'time in a name', pattern: /\b20\d{6}T?-?\d{6}\d*(Z?)\b/g, by: '20260131-120000$1' },
  { name: 'day', pattern: /\b20\d\d-\d\d-\d\d\b/g, by: '2026-01-31' },
  { name: 'process', pattern: /\b(pid|process|supervisor) (?!1\b)\d+/g, by: '$1 4711' },
  {
    name: 'duration',
    pattern: /\b\d+(?:\.\d+)? (?:ms|µs|s)\b(?! \d)/g,
    by: '7 ms',
  },
  { name: 'size', pattern: /\b\d+(?:\.\d+)? (?:B|bytes|[kKMGT]i?B)(?!\w)/g, by: '7 MB' },
  { name: 'rows', pattern: /\b\d+ rows\b/g, by: '7 rows' },
  { name: 'Node', pattern: /\bv?24\.\d+\.\d+\b/g, by: '24.0.0' },
];

/** Fields whose values are replaced whatever they say, where they have one. */
const byName: Readonly<Record<string, number | string>> = {
  pid: 4711,
  port: 8080,
  id: 1,
  rows: 7,
  scans: 7,
  size: 7,
  checks: 1,
  // Of another system on the machine that was quicker at a port.
  restarts: 0,
  kid: 'kid',
  raw: 'as it was written',
};

/** What was measured in time in one run may not have been in another. */
const sometimes = new Set(['cpu_percent', 'event_loop_delay_ms', 'latency_ms', 'memory_bytes', 'open_files']);

/** What is in a column of a table of that type; empty cells stay so. */
const byType: Readonly<Record<string, string | number>> = { date: instant, duration: 12, bytes: 8192 };

const measured = /(?:^|_)(?:ms|bytes)$|(?:Us|Ms|Bytes)$/;

export interface Steady {
  text(text: string): string;
  artifact<A extends Artifact>(artifact: A): A;
}

/** @param own what this run has of its own, and what it is called on record; longer ones first */
export function steadied(own: Readonly<Record<string, string>>): Steady {
  const { username } = userInfo();
  const names = Object.entries({ ...own, [hostname()]: 'machine' });
  const text = (given: string): string => {
    if (given === username) return 'ann';
    const told = names.reduce((kept, [value, name]) => kept.replaceAll(value, name), given);
    return inTexts.reduce((kept, { pattern, by }) => kept.replaceAll(pattern, by), told);
  };
  const value = (given: unknown, name = ''): unknown => {
    if (sometimes.has(name)) return null;
    if (typeof given === typeof byName[name]) return byName[name];
    if (typeof given === 'number') return measured.test(name) ? 7 : Number(own[String(given)] ?? given);
    // The number of a row, which depends on how many there were before.
    if (name === 'next_cursor' && /^\d+$/.test(String(given))) return '6';
    if (typeof given === 'string') return text(given);
    if (Array.isArray(given)) return given.map((item) => value(item, name));
    if (typeof given !== 'object' || given === null) return given;
    return Object.fromEntries(Object.entries(given).map(([key, item]) => [text(key), value(item, key)]));
  };
  const artifact = <A extends Artifact>(given: A): A => {
    const told = value(given) as A;
    if (told.type !== 'table') return told;
    for (const { name, column_type: type } of told.columns) {
      const by = byType[type];
      if (by === undefined) continue;
      for (const item of told.items) if (typeof item[name] === typeof by) item[name] = by;
    }
    return told;
  };
  return { text, artifact };
}

/** What something is made of: its values replaced by their types, the items of a list by the kinds of them. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    const kinds = new Map(value.map((item) => [JSON.stringify(shapeOf(item)), shapeOf(item)]));
    return [...kinds.values()];
  }
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]));
}
