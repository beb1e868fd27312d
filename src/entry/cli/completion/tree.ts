import type { CliManifest } from '../../../lib/shared/cli-port.ts';

/** What a shell can look up by itself, without starting us: folders and files of the project. */
export type Lookup = 'profiles' | 'services' | 'servers' | 'files';

export interface CompletedFlag {
  readonly name: string;
  readonly summary: string;
  readonly takesValue: boolean;
  readonly values: readonly string[];
  readonly lookup: Lookup | undefined;
}

/** A topic or a command, by the words that lead to it. */
export interface CompletedPlace {
  readonly path: string;
  /** The words that may follow, with what they stand for. */
  readonly words: readonly { readonly word: string; readonly summary: string }[];
  readonly flags: readonly CompletedFlag[];
  /** What its arguments name. */
  readonly lookup: Lookup | undefined;
  readonly values: readonly string[];
}

const lookups: Readonly<Record<string, Lookup>> = {
  profile: 'profiles',
  service: 'services',
  services: 'services',
  server: 'servers',
  output: 'files',
  file: 'files',
};

/** Every place in the tree of commands, from the manifest. */
export function completionTree(manifest: CliManifest): CompletedPlace[] {
  const places = new Map<string, CompletedPlace & { words: { word: string; summary: string }[] }>();
  const place = (path: string): { words: { word: string; summary: string }[] } => {
    const known = places.get(path);
    if (known !== undefined) return known;
    const made = { path, words: [], flags: [], lookup: undefined, values: [] };
    places.set(path, made);
    return made;
  };
  for (const command of manifest.commands) {
    const words = command.name.split(' ');
    for (const [depth, word] of words.entries()) {
      const above = place(words.slice(0, depth).join(' '));
      const path = words.slice(0, depth + 1).join(' ');
      const summary = path === command.name ? command.summary : (manifest.topics[path] ?? '');
      if (!above.words.some((one) => one.word === word)) above.words.push({ word, summary });
    }
    const [first] = command.args;
    const inCloud = command.name.startsWith('cloud profile ') && first?.name === 'name';
    places.set(command.name, {
      path: command.name,
      words: places.get(command.name)?.words ?? [],
      flags: command.flags.map(({ name, description = '', type, options = [] }) => ({
        name,
        summary: description,
        takesValue: type === 'option',
        values: options,
        lookup: type === 'option' ? lookups[name] : undefined,
      })),
      lookup: inCloud ? 'profiles' : lookups[first?.name ?? ''],
      values: first?.options ?? [],
    });
  }
  return [...places.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
