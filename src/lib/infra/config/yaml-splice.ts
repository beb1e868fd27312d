import { isDeepStrictEqual } from 'node:util';
import { ConfigInvalidError, InternalError } from '../../shared/errors.ts';
import { quoted } from './quoted.ts';
import { type ParseOptions, parseYamlDocument, type YamlPath } from './yaml-document.ts';
import { isPlainMap, YamlEditor } from './yaml-editor.ts';
import { dottedPath } from './yaml-path.ts';

/** What is to change at a path: a value (text, number, truth, null, list or map) takes the place, or the place goes. */
export type YamlChange =
  | { readonly path: YamlPath; readonly value: unknown }
  | { readonly path: YamlPath; readonly unset: true };

/**
 * Applies changes to the text of a YAML file, one after the other; every byte that no change is about stays. What is
 * not there is added below its siblings, with the maps on its way; what is removed takes the maps with it that it
 * leaves empty, unless a comment stands in them. A list is appended to by the index after its last.
 * @param file how messages name it
 * @throws ConfigInvalidError for a text that is no sound YAML, and where an anchor, alias or tag is in the way;
 *   UsageError for a path that leads through a plain value
 */
export function editYamlText(
  text: string,
  file: string,
  changes: readonly YamlChange[],
  options: ParseOptions = {},
): string {
  return changes.reduce((current, change) => applied(current, file, change, options), text);
}

function applied(text: string, file: string, change: YamlChange, options: ParseOptions): string {
  const { document, issues } = parseYamlDocument(text, file, options);
  if (document === undefined || issues.length > 0) throw new ConfigInvalidError(issues);
  const before = document.value;
  if ('unset' in change) {
    if (!document.has(change.path)) return text;
    return checked(new YamlEditor(text, file, options).unset(change.path), file, change, { before, options });
  }
  const old = valueAt(before, change.path);
  if (document.has(change.path) && isDeepStrictEqual(old, change.value)) return text;
  const parts = document.has(change.path) ? partsOf(change.path, old, change.value) : undefined;
  if (parts !== undefined) return editYamlText(text, file, parts, options);
  return checked(new YamlEditor(text, file, options).set(change.path, change.value), file, change, { before, options });
}

/** The changes of single entries that make one map or list the other; undefined where it is replaced as a whole. */
function partsOf(path: YamlPath, old: unknown, value: unknown): YamlChange[] | undefined {
  if (isPlainMap(old) && isPlainMap(value)) {
    const kept = Object.keys(old).filter((key) => Object.hasOwn(value, key));
    if (kept.length === 0) return undefined;
    const sets = Object.entries(value).map(([key, entry]) => ({ path: [...path, key], value: entry }));
    const gone = Object.keys(old).filter((key) => !kept.includes(key));
    return [...sets, ...gone.map((key) => ({ path: [...path, key], unset: true as const }))];
  }
  if (!Array.isArray(old) || !Array.isArray(value) || old.length === 0 || value.length === 0) return undefined;
  const same = (a: number, b: number): boolean => isDeepStrictEqual(old[a], value[b]);
  let head = 0;
  while (head < Math.min(old.length, value.length) && same(head, head)) head += 1;
  let tail = 0;
  const spare = old.length - value.length;
  if (spare > 0) while (tail < value.length - head && same(old.length - 1 - tail, value.length - 1 - tail)) tail += 1;
  const sets = value.slice(head, value.length - tail).map((entry, index) => ({
    path: [...path, head + index],
    value: entry as unknown,
  }));
  const gone = Array.from({ length: Math.max(spare, 0) }, (_, index) => old.length - tail - 1 - index);
  return [...sets, ...gone.map((index) => ({ path: [...path, index], unset: true as const }))];
}

/** The edited text, once it is sure that it says what was asked for and nothing else: it is somebody's system. */
function checked(
  text: string,
  file: string,
  change: YamlChange,
  { before, options }: { readonly before: unknown; readonly options: ParseOptions },
): string {
  const { document, issues } = parseYamlDocument(text, file, options);
  const path = dottedPath(change.path);
  if (document !== undefined && issues.length === 0) {
    const wanted = changed(before ?? {}, change.path, change);
    if (isDeepStrictEqual(document.value, wanted)) return text;
    if ('unset' in change && isDeepStrictEqual(document.value, pruned(wanted, change.path.slice(0, -1)))) return text;
  }
  throw new InternalError(`${quoted(path)} can't be changed in ${file} as it is written there.`, {
    hint: 'Nothing was written: edit the file by hand.',
  });
}

/** A value with a change made, the maps on the way included. */
function changed(value: unknown, [step, ...rest]: YamlPath, change: YamlChange): unknown {
  if (step === undefined) return 'value' in change ? change.value : undefined;
  const inner = changed(valueAt(value, [step]), rest, change);
  if (Array.isArray(value) || ((value === undefined || value === null) && typeof step === 'number')) {
    const list: unknown[] = Array.isArray(value) ? value : [];
    return inner === undefined ? list.toSpliced(Number(step), 1) : list.toSpliced(Number(step), 1, inner);
  }
  const { [String(step)]: _, ...others } = isPlainMap(value) ? value : {};
  return inner === undefined ? others : { ...others, [String(step)]: inner };
}

/** A value without the empty maps at the end of a path, but for the outermost. */
function pruned(value: unknown, path: YamlPath): unknown {
  const at = valueAt(value, path);
  if (path.length === 0 || !isPlainMap(at) || Object.keys(at).length > 0) return value;
  return pruned(changed(value, path, { path, unset: true }), path.slice(0, -1));
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as Record<string | number, unknown>)[step];
  }
  return current;
}
