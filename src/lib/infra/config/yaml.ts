import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { type ConfigIssue, PreconditionError } from '../../shared/errors.ts';
import { checkDocument } from './schema-issues.ts';
import { type ParseOptions, type Place, parseYamlDocument, type YamlDocument, type YamlPath } from './yaml-document.ts';
import { displayPath, readYamlText } from './yaml-source.ts';

/** A file that holds: its checked value, and the way from a later finding (across files, say) back to its place. */
export interface ParsedYaml<T> {
  readonly value: T;
  /** The path as messages show it. */
  readonly file: string;
  /** Whether the file itself has a value at the path; what it leaves out may have a default. */
  has(path: YamlPath): boolean;
  /** The place of the value at a path (or of its key); of what is not there, the innermost map or list that is. */
  locate(path: YamlPath, at?: 'key' | 'value'): Place;
  /** A finding about the value at a path. */
  issue(path: YamlPath, message: string, hint?: string, at?: 'key' | 'value'): ConfigIssue;
}

/** Why a file does not hold: every finding at once. */
export interface RefusedYaml {
  readonly issues: ConfigIssue[];
  /** What the file holds, unchecked, where its grammar holds. */
  readonly raw?: ParsedYaml<unknown>;
}

/** More than a reader takes in; a file that is of another kind altogether would give one a line. */
const ISSUES_MAX = 100;

/**
 * Reads a YAML file and checks it against a schema. What the file does wrong, to the absence of the file itself, is
 * returned as issues with `line:column`, never thrown. While the grammar is broken the schema is not consulted: its
 * findings would follow from the first fault. Messages quote names, never values.
 * @param file absolute, or relative to the working directory
 */
export async function parseYamlFile<T>(
  file: string,
  schema: z.ZodType<T>,
  options: ParseOptions = {},
): Promise<ParsedYaml<T> | RefusedYaml> {
  const source = await readYamlText(file);
  if ('issue' in source) return { issues: [source.issue] };
  return parseYamlText(source.text, displayPath(file), schema, options);
}

/** As `parseYamlFile`, of a text at hand; `file` is how messages name it. */
export function parseYamlText<T>(
  text: string,
  file: string,
  schema: z.ZodType<T>,
  options: ParseOptions = {},
): ParsedYaml<T> | RefusedYaml {
  const { document, issues } = parseYamlDocument(text, file, options);
  if (document === undefined) return { issues: bounded(issues) };
  const checked = checkDocument(document, file, schema);
  const found = 'issues' in checked ? [...issues, ...checked.issues] : issues;
  if (found.length > 0) return { issues: bounded(found), raw: located(document, file, document.value) };
  return located(document, file, (checked as { value: T }).value);
}

function located<T>(document: YamlDocument, file: string, value: T): ParsedYaml<T> {
  const locate = document.locate.bind(document);
  return {
    value,
    file,
    has: document.has.bind(document),
    locate,
    issue: (path, message, hint, at) => ({
      file,
      ...locate(path, at),
      message,
      ...(hint === undefined ? {} : { hint }),
    }),
  };
}

/**
 * The YAML files of a folder, sorted by name; none when there is no such folder.
 * @throws PreconditionError when it can't be read
 */
export async function yamlFilesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new PreconditionError(`The folder ${displayPath(folder)} can't be read (${error.code}).`, { cause: error });
  });
  return entries
    .filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name));
}

/** In the order of the file, one for each place (a name that is wrong in two ways is one fault), and not without end. */
function bounded(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const sorted = issues.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const distinct = sorted.filter(({ line, column }, index) => {
    const before = sorted[index - 1];
    return before?.line !== line || before.column !== column;
  });
  const next = distinct[ISSUES_MAX];
  if (next === undefined) return distinct;
  const more = {
    file: next.file,
    line: next.line,
    column: next.column,
    message: `and ${distinct.length - ISSUES_MAX} more`,
    hint: 'Is this a configuration file of this kind?',
  };
  return [...distinct.slice(0, ISSUES_MAX), more];
}
