import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { quoted } from '../../infra/config/quoted.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';

const isYaml = (name: string) => /\.ya?ml$/.test(name);

/**
 * Files that are not read, because they or their folder have almost the name under which they would be: left alone, a
 * typing mistake would turn into a default.
 * @param folders the names of the folders in which files are found by themselves
 * @param single those of them that hold one `config.yaml`
 * @param looked every file that was read or looked for
 */
export async function misplacedFiles(
  servicesDir: string,
  folders: readonly string[],
  single: readonly string[],
  looked: ReadonlySet<string>,
): Promise<ConfigIssue[]> {
  const issues = await Promise.all(
    (await namesIn(servicesDir)).map(async (name) => {
      const place = await placeMeant(servicesDir, name, folders, single);
      if (place === undefined) return [];
      const files = isYaml(name) ? [name] : (await namesIn(join(servicesDir, name))).map((file) => join(name, file));
      return files.flatMap((file): ConfigIssue[] => {
        const meant = place(basename(file));
        const path = join(servicesDir, file);
        if (!isYaml(file) || looked.has(path) || meant === undefined) return [];
        const message = 'is not read: nothing includes it, and it is not where files are found by themselves';
        return [{ file: displayPath(path), line: 1, column: 1, message, hint: `did you mean ${quoted(meant)}?` }];
      });
    }),
  );
  return issues.flat();
}

/** Where the files of a folder (or a file beside the folders) were meant to be; `undefined` when nobody can tell. */
async function placeMeant(
  servicesDir: string,
  name: string,
  folders: readonly string[],
  single: readonly string[],
): Promise<((file: string) => string | undefined) | undefined> {
  if (isYaml(name)) return (file) => (/^config\.ya?ml$/.test(file) ? 'config/config.yaml' : undefined);
  if (single.includes(name)) {
    if ((await namesIn(join(servicesDir, name))).includes('config.yaml')) return undefined;
    return (file) => (nearest(file, ['config.yaml'], 1).length > 0 ? `${name}/config.yaml` : undefined);
  }
  // Of shorter names too many others are near.
  const [folder] = folders.includes(name) || name.length < 4 ? [] : nearest(name, folders, 1);
  return folder === undefined ? undefined : (file) => `${folder}/${file}`;
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
