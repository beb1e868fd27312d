import { basename, dirname } from 'node:path';
import type { ParsedYaml } from '../../infra/config/yaml.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import type { ServicesFile } from './read-files.ts';
import type { SectionsFile } from './schemas.ts';
import type { Section } from './sections.ts';
import type { ConfigPath } from './types.ts';

/** Something that a file declares, and where. */
export interface Declared<T = unknown> {
  /** Its key or id; of a section that is one whole, the section's name. */
  readonly name: string;
  readonly value: T;
  readonly file: ServicesFile;
  readonly yaml: ParsedYaml<unknown>;
  /** Its path within the file. */
  readonly path: ConfigPath;
}

/** Sections that are maps of things with names. */
export type NamedSection = 'agents' | 'mcp_servers' | 'skills' | 'plugins';

/** Everything of one kind from all files, in the order in which the files are put together. */
export class Declarations {
  readonly #files: readonly ServicesFile[];

  constructor(files: readonly ServicesFile[]) {
    this.#files = files;
  }

  /** The entries of a section that is a map; only of files that hold. */
  named<S extends NamedSection>(section: S): Declared<Entry<S>>[] {
    return this.#files.flatMap((file): Declared<Entry<S>>[] => {
      const { yaml } = file;
      if (!file.valid || yaml === undefined || !file.kind.declares.includes(section)) return [];
      const folder = folderOf(file, section);
      if (folder !== undefined) return [{ name: folder, value: yaml.value as Entry<S>, file, yaml, path: [] }];
      const entries = Object.entries((yaml.value as SectionsFile)[section] ?? {});
      return entries.map(([name, value]) => ({ name, value: value as Entry<S>, file, yaml, path: [section, name] }));
    });
  }

  /** The blocks of a section that is one whole; only of files that hold. */
  whole<S extends 'settings' | Exclude<Section, NamedSection>>(section: S): Declared<NonNullable<SectionsFile[S]>>[] {
    return this.#files.flatMap((file): Declared<NonNullable<SectionsFile[S]>>[] => {
      const { yaml } = file;
      if (!file.valid || yaml === undefined || file.kind.id === 'skill' || file.kind.id === 'plugin') return [];
      const value = (yaml.value as SectionsFile)[section];
      return value === undefined ? [] : [{ name: section, value, file, yaml, path: [section] }];
    });
  }

  /**
   * The names that a map may have, those from files that do not hold included; `undefined` when a file that may declare
   * more of them can't be read at all, so that nothing can be called unknown.
   */
  namesOf(section: Section, inner?: string): ReadonlySet<string> | undefined {
    const names = new Set<string>();
    for (const file of this.#files) {
      if (!file.kind.declares.includes(section)) continue;
      const folder = folderOf(file, section);
      if (folder !== undefined) names.add(folder);
      else if (file.yaml === undefined) return undefined;
      else
        for (const name of keysAt(file.yaml.value, inner === undefined ? [section] : [section, inner])) names.add(name);
    }
    return names;
  }
}

type Entry<S extends NamedSection> = Exclude<SectionsFile[S], undefined>[string];

/** Of a skill or plugin in a folder of its own: the folder's name, which is its id. */
function folderOf(file: ServicesFile, section: Section): string | undefined {
  const own = { skill: 'skills', plugin: 'plugins' }[file.kind.id];
  return own === section ? basename(dirname(file.path)) : undefined;
}

function keysAt(value: unknown, path: readonly string[]): string[] {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return [];
    current = (current as Record<string, unknown>)[step];
  }
  return typeof current === 'object' && current !== null && !Array.isArray(current) ? Object.keys(current) : [];
}

/** A finding about a value within something that is declared. */
export function issueAt(
  { yaml, path }: Declared,
  within: ConfigPath,
  message: string,
  hint?: string,
  at?: 'key' | 'value',
): ConfigIssue {
  return yaml.issue([...path, ...within], message, hint, at);
}

/** `file:line:column` of something that is declared, for messages about another. */
export function placeOf({ yaml, path }: Declared, within: ConfigPath = []): string {
  const { line, column } = yaml.locate([...path, ...within], 'key');
  return `${yaml.file}:${line}:${column}`;
}
