import { readFile } from 'node:fs/promises';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ServerFinding } from '../../shared/server-findings.ts';
import { filesUnder } from './inputs.ts';
import type { ExtensionPackage } from './workspace.ts';

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Where in an extension's sources something gets its name or URI: the second place when that is what is wrong. */
export async function placeOfSubject(
  { folder, entry }: Pick<ExtensionPackage, 'folder' | 'entry'>,
  subject: ServerFinding['subject'],
): Promise<Place | undefined> {
  if (subject === undefined) return undefined;
  const escaped = subject.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const named = new RegExp(`\\b(?:name|uri|uriTemplate)['"]?\\s*:\\s*(['"\`])${escaped}\\1`, 'g');
  const files = [...new Set([entry, ...(await filesUnder(folder))])].filter((file) => /\.[cm]?[jt]sx?$/.test(file));
  for (const file of files.sort()) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const { index } = named.exec(text) ?? {};
    if (index === undefined) continue;
    const before = text.slice(0, index).split('\n');
    return { file: displayPath(file), line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }
  return undefined;
}
