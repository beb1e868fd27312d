import type { z } from 'zod';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import type { Complaint } from './complaint.ts';
import { hintOf, predicate } from './issue-text.ts';
import { quoted } from './quoted.ts';
import { fieldHint, knownNames } from './schema-names.ts';
import { strayReferences } from './secret-places.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

/** Of one map: what has more unknown names is another kind of file, and telling them all takes time and no one reads it. */
const UNKNOWN_KEYS_MAX = 100;

/** Checks a document against a schema; every finding has the place of the key or value that it is about. */
export function checkDocument<T>(
  document: YamlDocument,
  file: string,
  schema: z.ZodType<T>,
): { value: T } | { issues: ConfigIssue[] } {
  const result = schema.safeParse(document.value, { error: predicate });
  const stray = strayReferences(document.value, schema);
  if (result.success && stray.length === 0) return { value: result.data };
  const all = result.success ? [] : result.error.issues.flatMap((issue) => complaints(issue, [], schema, document));
  const found = [...all.filter(({ missing }) => missing === undefined), ...missingFields(all)];
  const issues = [...found, ...stray].map(({ path, at, message, hint }) => ({
    file,
    ...document.locate(path, at),
    message,
    ...(hint === undefined ? {} : { hint }),
  }));
  return { issues };
}

function complaints(issue: z.core.$ZodIssue, base: YamlPath, schema: z.ZodType, document: YamlDocument): Complaint[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
  if (issue.code === 'unrecognized_keys') {
    const known = knownNames(schema, path);
    return issue.keys.slice(0, UNKNOWN_KEYS_MAX).map((key) => unknownKey(path, key, known));
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? 'is not allowed';
    const hint = fieldHint(schema, path.slice(0, -1));
    const message = `the name ${quoted(String(path.at(-1)))} ${reason}`;
    return [{ path, at: 'key', message, ...(hint === undefined ? {} : { hint: `rename it. This is: ${hint}` }) }];
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0 && document.has(path)) {
    const branch = likeliestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => complaints(inner, path, schema, document));
  }
  const name = path.length === 0 ? 'the file' : quoted(dotted(path));
  if (path.length > 0 && !document.has(path)) {
    const missing = { name: String(path.at(-1)), meaning: fieldHint(schema, path) };
    const hint = missing.meaning === undefined ? {} : { hint: `add it: ${missing.meaning}` };
    return [{ path, at: 'value', message: `${name} is missing`, ...hint, missing }];
  }
  const hint =
    hintOf(issue, valueAt(document.value, path)) ?? (path.length === 0 ? wholeHint(schema) : fieldHint(schema, path));
  return [{ path, at: 'value', message: `${name} ${issue.message}`, ...(hint === undefined ? {} : { hint }) }];
}

/**
 * One finding for each map that lacks fields, since they all have its place; and none of a field that is there under
 * a misspelt name.
 */
function missingFields(all: readonly Complaint[]): Complaint[] {
  const parentOf = ({ path }: Complaint) => JSON.stringify(path.slice(0, -1));
  const misspelt = new Set(all.flatMap((one) => (one.meant === undefined ? [] : [`${parentOf(one)}${one.meant}`])));
  const groups = Map.groupBy(
    all.filter((one) => one.missing !== undefined && !misspelt.has(`${parentOf(one)}${one.missing.name}`)),
    parentOf,
  );
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    if (others.length === 0) return [first];
    const fields = [first, ...others].flatMap(({ missing }) => (missing === undefined ? [] : [missing]));
    const parent = first.path.slice(0, -1);
    const where = parent.length === 0 ? 'the file' : quoted(dotted(parent));
    return [
      {
        ...first,
        message: `${where} lacks ${fields.map(({ name }) => quoted(name)).join(', ')}`,
        hint: fields.map(({ name, meaning }) => `${name}: ${meaning ?? 'a value'}`).join(' '),
      },
    ];
  });
}

/** For a file that is no map, or an empty one. */
function wholeHint(schema: z.ZodType): string | undefined {
  const names = knownNames(schema, []);
  return names.length === 0 ? undefined : `its fields are: ${names.slice(0, 20).join(', ')}`;
}

function unknownKey(path: YamlPath, key: string, known: readonly string[]): Complaint {
  const [meant] = known.includes(key) ? [] : nearest(key, known, 1);
  const where = path.length === 0 ? 'here' : `in ${quoted(dotted(path))}`;
  const listed = known.includes(key)
    ? 'it belongs to another form of this'
    : known.length === 0
      ? undefined
      : `known ${where}: ${known.slice(0, 20).join(', ')}`;
  const hint = meant === undefined ? listed : `did you mean \`${meant}\`?`;
  return {
    path: [...path, key],
    at: 'key',
    message: `${quoted(key)} is not known ${where}`,
    ...(hint === undefined ? {} : { hint }),
    ...(meant === undefined ? {} : { meant }),
  };
}

/**
 * Of a union's alternatives the one that the writer meant: the one that got furthest. None when all of them already
 * refuse the kind of value, since then the union's own message says it better.
 */
function likeliestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  const entered = branches.filter(
    (branch) => !branch.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type'),
  );
  return [...entered].sort((a, b) => a.length - b.length)[0];
}

function dotted(path: YamlPath): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${step}`))
    .join('');
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as Record<string | number, unknown>)[step];
  }
  return current;
}
