import type { z } from 'zod';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearestName } from './nearest-name.ts';
import { quoted } from './quoted.ts';
import { knownNames } from './schema-names.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

interface Complaint {
  readonly path: YamlPath;
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
}

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
  return { issues: issues.sort((a, b) => a.line - b.line || a.column - b.column) };
}

function complaints(issue: z.core.$ZodIssue, base: YamlPath, schema: z.ZodType, document: YamlDocument): Complaint[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
  if (issue.code === 'unrecognized_keys') {
    const known = knownNames(schema, path);
    return issue.keys.map((key) => unknownKey(path, key, known));
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
  const nearest = nearestName(key, known);
  const where = path.length === 0 ? 'here' : `in ${quoted(dotted(path))}`;
  const listed = known.length === 0 ? undefined : `known ${where}: ${known.slice(0, 20).join(', ')}`;
  const hint = nearest === undefined ? listed : `did you mean \`${nearest}\`?`;
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

/** What is wrong with a value, to be read after its name. Never quotes the value: it may be a secret in the wrong place. */
function predicate(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${kindName(issue.expected)}, not ${valueKind(issue.input)}`;
    case 'invalid_value':
      return issue.values.length === 1 ? `must be ${shown(issue.values[0])}` : 'is none of the values that it can have';
    case 'too_small':
      return `must ${amount(issue.origin, 'at least', 'more than', issue.minimum, issue.inclusive ?? true)}`;
    case 'too_big':
      return `must ${amount(issue.origin, 'at most', 'less than', issue.maximum, issue.inclusive ?? true)}`;
    case 'invalid_format':
      return issue.format === 'regex' ? 'is not of the right form' : `must be a well-formed ${issue.format}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? `is none of the forms that it can have, but ${valueKind(issue.input)}`
        : `needs a known ${quoted(issue.discriminator)}`;
    default:
      return 'is not valid';
  }
}

function hintOf(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  switch (issue.code) {
    case 'invalid_value': {
      if (issue.values.length < 2) return undefined;
      const nearest = typeof value === 'string' ? nearestName(value, issue.values.map(String)) : undefined;
      return nearest === undefined
        ? `write one of: ${issue.values.map(shown).join(', ')}`
        : `did you mean \`${nearest}\`?`;
    }
    case 'invalid_type':
      if (issue.expected === 'boolean') return 'write true or false';
      if (issue.expected === 'string' && typeof value !== 'object') return 'put it in quotes';
      if (['number', 'int'].includes(issue.expected) && typeof value === 'string')
        return 'write it without quotes or unit';
      return undefined;
    case 'custom':
      return typeof issue.params?.hint === 'string' ? issue.params.hint : undefined;
    default:
      return undefined;
  }
}

function amount(origin: string, atLeast: string, moreThan: string, limit: number | bigint, inclusive: boolean): string {
  const bound = `${inclusive ? atLeast : moreThan} ${limit}`;
  if (origin === 'string') return `have ${bound} characters`;
  if (origin === 'array' || origin === 'set' || origin === 'map') return `have ${bound} entries`;
  return `be ${bound}`;
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  object: 'a map of fields',
  record: 'a map',
  array: 'a list',
  tuple: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  null: 'empty',
  never: 'left out',
};

function kindName(expected: string): string {
  return KIND_NAMES[expected] ?? expected;
}

function valueKind(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'true or false';
  return Number.isInteger(value) ? 'a whole number' : 'a number';
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
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
