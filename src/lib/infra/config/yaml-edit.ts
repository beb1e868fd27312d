import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';
import { type ParsedYaml, parseYamlText } from './yaml.ts';
import type { ParseOptions } from './yaml-document.ts';
import { displayPath, readYamlText } from './yaml-source.ts';
import { editYamlText, type YamlChange } from './yaml-splice.ts';

export type { YamlChange } from './yaml-splice.ts';

export interface YamlEditOptions<T> extends ParseOptions {
  /** Find out everything, write nothing. */
  readonly dryRun?: boolean;
  /** Begin with an empty file where there is none. */
  readonly create?: boolean;
  /** Findings beyond the schema, of the file as it would be: across fields, across files. Any of them stops the edit. */
  readonly check?: (edited: ParsedYaml<T>, text: string) => Promise<readonly ConfigIssue[]> | readonly ConfigIssue[];
}

export interface YamlEdit<T> {
  /** Whether the text differs; only then it is written. */
  readonly changed: boolean;
  /** The text of before; undefined where there was no file. */
  readonly before: string | undefined;
  readonly after: string;
  /** What the file says after the edit, checked. */
  readonly value: T;
}

/**
 * Changes values in a YAML file: comments, order, quotes, blank lines and every line that no change is about stay as
 * they are. The file that comes of it is checked before it replaces the old one, as one step and under a lock, so that
 * of two editors neither loses the other's change. A symbolic link stays one.
 * @param file absolute, or relative to the working directory
 * @param changes applied in their order
 * @throws ConfigInvalidError with the findings of the file as it is (grammar) or would be (schema, `check`), or where an
 *   anchor or alias is in the way; nothing is written then. UsageError for a path through a plain value; TimeoutError
 *   when another holds the lock
 */
export async function editYaml<T>(
  file: string,
  schema: z.ZodType<T>,
  changes: readonly YamlChange[],
  options: YamlEditOptions<T> = {},
): Promise<YamlEdit<T>> {
  const target = await realpath(file).catch(() => file);
  const edit = (): Promise<YamlEdit<T>> => edited(target, displayPath(file), schema, changes, options);
  if (options.dryRun === true) return await edit();
  return await withFileLock(editLock(target), edit);
}

/** The lock under which a configuration file is changed. @param file without symbolic links on the way */
export function editLock(file: string): string {
  return join(dirname(file), `.${basename(file)}.lock`);
}

async function edited<T>(
  target: string,
  shown: string,
  schema: z.ZodType<T>,
  changes: readonly YamlChange[],
  { dryRun = false, create = false, check, ...parsing }: YamlEditOptions<T>,
): Promise<YamlEdit<T>> {
  const mode = await stat(target).then(
    (stats) => stats.mode & 0o777,
    () => undefined,
  );
  const before = mode === undefined && create ? undefined : await textOf(target, shown);
  const after = editYamlText(before ?? '', shown, changes, parsing);
  const parsed = parseYamlText(after, shown, schema, parsing);
  const issues = 'issues' in parsed ? parsed.issues : ((await check?.(parsed, after)) ?? []);
  if ('issues' in parsed || issues.length > 0) {
    throw new ConfigInvalidError(issues, { hint: 'Nothing was written. Lines are those of the file with the change.' });
  }
  const changed = after !== before;
  if (changed && !dryRun) await writeFileAtomic(target, after, mode ?? 0o600);
  return { changed, before, after, value: parsed.value };
}

async function textOf(file: string, shown: string): Promise<string> {
  const source = await readYamlText(file);
  if ('text' in source) return source.text;
  throw new ConfigInvalidError([{ ...source.issue, file: shown }]);
}
