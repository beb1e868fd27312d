import { diffIndices, mergeDiff3 } from 'node-diff3';
import { type Body, bodyOf } from './files.ts';

/** The text of a body; `undefined` when it is none. */
export function textOf({ bytes }: Pick<Body, 'bytes'>): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Puts two changes of one text together, line by line (diff3).
 * @returns undefined when both have changed the same lines, or when one of them is no text
 */
export function merge(files: Body, base: Body, database: Body): Body | undefined {
  const [ours, origin, theirs] = [files, base, database].map(textOf);
  if (ours === undefined || origin === undefined || theirs === undefined) return undefined;
  const { conflict, result } = mergeDiff3(linesOf(ours), linesOf(origin), linesOf(theirs), {
    excludeFalseConflicts: true,
  });
  return conflict ? undefined : bodyOf(new TextEncoder().encode(result.join('\n')));
}

/** What the files have otherwise than the database: lines of it with `-`, of the files with `+`, at most `limit`. */
export function difference(files: Body | undefined, database: Body | undefined, limit: number): string[] {
  if (files === undefined) return ['deleted in the files'];
  if (database === undefined) return ['deleted in the database'];
  const [ours, theirs] = [textOf(files), textOf(database)];
  if (ours === undefined || theirs === undefined) {
    return [`no text: ${files.bytes.length} bytes in the files, ${database.bytes.length} in the database`];
  }
  const lines = diffIndices(linesOf(theirs), linesOf(ours)).flatMap(({ buffer1, buffer1Content, buffer2Content }) => [
    `@ line ${buffer1[0] + 1}`,
    ...buffer1Content.map((line) => `- ${line}`),
    ...buffer2Content.map((line) => `+ ${line}`),
  ]);
  return lines.length <= limit ? lines : [...lines.slice(0, limit), `… and ${lines.length - limit} more lines`];
}

function linesOf(text: string): string[] {
  return text.split('\n');
}
