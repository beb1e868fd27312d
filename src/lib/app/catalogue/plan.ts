import { setImmediate as breathe } from 'node:timers/promises';
import {
  type CatalogueTool,
  decide,
  type Finding,
  type Observed,
  type RawTool,
  type ReadTool,
  readTools,
  scanTool,
  scanVersion,
  type ToolPolicy,
  type ToolRecord,
  type ToolWrite,
} from '../../domain/mcp/index.ts';
import { toolDigest } from './digest.ts';

/** A tool of a list, read and scanned. */
interface SeenTool extends ReadTool {
  readonly digest: string;
  /** What is suspicious in it; absent when the form is known and was scanned. */
  readonly findings: readonly Finding[] | undefined;
}

/**
 * Reads and scans the tools of a list, those that are new or changed.
 * @param known what is known of a tool of that server
 */
export async function look(
  listed: readonly RawTool[],
  known: (name: string, digest: string) => CatalogueTool | undefined,
): Promise<SeenTool[]> {
  const seen: SeenTool[] = [];
  for (const tool of readTools(listed)) {
    const digest = toolDigest(tool);
    const old = known(tool.name, digest) as ToolRecord | undefined;
    const scanned = old?.digest === digest && old.scannedBy === scanVersion;
    seen.push({ ...tool, digest, findings: scanned ? undefined : findingsOf(tool) });
    if (!scanned) await breathe(); // a long list must not keep calls waiting
  }
  return seen;
}

/** What is to be written after a look at a server's tools. */
interface Plan {
  readonly writes: readonly ToolWrite[];
  /** Names of tools that are listed no more. */
  readonly gone: readonly string[];
  readonly observed: Observed;
}

/** @param partial the list may lack tools that there are */
export function planOf(
  seen: readonly SeenTool[],
  records: readonly ToolRecord[],
  policy: ToolPolicy,
  partial: boolean,
): Plan {
  const known = new Map(records.map((record) => [record.name, record]));
  const writes = seen.flatMap((tool) => writeOf(tool, known.get(tool.name), policy) ?? []);
  const names = new Set(seen.map(({ name }) => name));
  const gone = partial ? [] : records.filter(({ name, state }) => state !== 'gone' && !names.has(name));
  const goneNames = gone.map(({ name }) => name);
  return { writes, gone: goneNames, observed: observedOf(writes, goneNames) };
}

function observedOf(writes: readonly ToolWrite[], gone: readonly string[]): Observed {
  const by = (event: ToolWrite['event']) => writes.filter((write) => write.event === event).map(({ name }) => name);
  return {
    added: by('added'),
    changed: by('changed'),
    returned: by('returned'),
    gone,
    held: writes.filter(({ state, event }) => state === 'held' && event !== undefined).map(({ name }) => name),
  };
}

/** How many forms of one tool users' lists may have: each of them is kept in memory by every API process. */
export const formsMax = 500;

/** Names of tools whose new form has no room. */
export function fullNames(seen: readonly SeenTool[], records: readonly ToolRecord[]): string[] {
  const byName = Map.groupBy(records, ({ name }) => name);
  return seen.flatMap(({ name, digest }) => {
    const forms = byName.get(name) ?? [];
    return forms.length >= formsMax && forms.every((record) => record.digest !== digest) ? [name] : [];
  });
}

/** What is to be written of forms. */
interface FormsPlan extends Plan {
  /** Names of tools that have as many forms as they may: these ones are not put on record. */
  readonly refused: readonly string[];
}

/**
 * The same where each form of a tool is on record apart. A form that nobody has listed before is held against the one that was
 * approved last.
 * @param ended forms among the records that are on record no more
 */
export function planOfForms(
  seen: readonly SeenTool[],
  records: readonly ToolRecord[],
  policy: ToolPolicy,
  ended: ReadonlyMap<string, number>,
): FormsPlan {
  const byName = Map.groupBy(records, ({ name }) => name);
  const formsOf = (name: string) => byName.get(name) ?? [];
  const recordOf = ({ name, digest }: SeenTool) => {
    const approved = formsOf(name).filter(({ state }) => state === 'approved');
    const latest = (a: ToolRecord, b: ToolRecord) => Number(b.approvedAt ?? 0) - Number(a.approvedAt ?? 0);
    return formsOf(name).find((record) => record.digest === digest) ?? approved.sort(latest)[0];
  };
  const isRefused = ({ name, digest }: SeenTool) =>
    formsOf(name).length - (ended.get(name) ?? 0) >= formsMax &&
    formsOf(name).every((record) => record.digest !== digest);
  const taken = seen.filter((tool) => !isRefused(tool));
  const refused = seen.filter(isRefused).map(({ name }) => name);
  const writes = taken.flatMap((tool) => writeOf(tool, recordOf(tool), policy) ?? []);
  return { writes, gone: [], observed: observedOf(writes, []), refused };
}

/** What is to be written of one tool; nothing when it is as it was. */
function writeOf(tool: SeenTool, record: ToolRecord | undefined, policy: ToolPolicy): ToolWrite | undefined {
  const current = record?.digest === tool.digest && record.scannedBy === scanVersion;
  const findings = current ? record.findings : (tool.findings ?? findingsOf(tool));
  const decision = decide(
    record && { ...record, reason: record.reason ?? null, approvedDigest: record.approvedDigest ?? null },
    { digest: tool.digest, invalid: tool.invalid !== undefined, findings },
    policy,
  );
  const same = record?.state === decision.state && (record.reason ?? null) === decision.reason;
  if (current && same && decision.event === undefined) return undefined;
  const { name, digest, definition } = tool;
  return { ...decision, name, digest, before: record?.digest ?? null, definition, findings, scannedBy: scanVersion };
}

/** What no client could take is told like what no model should. */
function findingsOf(tool: ReadTool): Finding[] {
  const found = scanTool(tool.definition);
  if (tool.invalid === undefined) return found;
  return [{ rule: 'invalid.tool', severity: 'high', at: 'name', excerpt: tool.invalid }, ...found];
}
