import type { z } from 'zod';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { hintOf, predicate } from './issue-text.ts';
import { quoted } from './quoted.ts';
import { knownNames } from './schema-names.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

interface Complaint {
  readonly path: YamlPath;
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
}

/** Of one map: what has more unknown names is another kind of file, and telling them all takes time and no one reads it. */
const UNKNOWN_KEYS_MAX = 100;

/** Checks a document against a schema; every finding has the place of the key or value that it is about. */
export function checkDocument<T>(
  document: YamlDocument,
  file: string,
  schema: z.ZodType<T>,
): { value: T } | { issues: ConfigIssue[] } {
  const result = schema.safeParse(document.value, { error: predicate });
  if (result.success) return { value: result.data };
  const issues = result.error.issues
    .flatMap((issue) => complaints(issue, [], schema, document))
    .map(({ path, at, ...complaint }) => ({ file, ...document.locate(path, at), ...complaint }));
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
    return [{ path, at: 'key', message: `the name ${quoted(String(path.at(-1)))} ${reason}` }];
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0 && document.has(path)) {
    const branch = likeliestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => complaints(inner, path, schema, document));
  }
  const name = path.length === 0 ? 'the file' : quoted(dotted(path));
  if (path.length > 0 && !document.has(path)) return [{ path, at: 'value', message: `${name} is missing` }];
  const hint = hintOf(issue, valueAt(document.value, path));
  return [{ path, at: 'value', message: `${name} ${issue.message}`, ...(hint === undefined ? {} : { hint }) }];
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
