import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { ConflictError, PreconditionError } from '../../shared/errors.ts';
import { fileKinds } from './kinds.ts';

/** A kind of YAML file and the JSON Schema that describes it. */
export interface SchemaFile {
  readonly kind: string;
  /** Where such files lie, from the project's folder, as editors take it. */
  readonly place: string;
  /** The schema's name. */
  readonly file: string;
}

/** The kinds of file that there are schemas of, the profile first. */
export function schemaFiles(): SchemaFile[] {
  const profile = { kind: 'profile', place: '.systemprompt/profiles/*/profile.yaml', file: 'profile.schema.json' };
  const services = Object.values(fileKinds).map(({ id, place }) => ({
    kind: id as string,
    place: (place as string).replaceAll(/<[^>]+>/g, '*'),
    file: `${id}.schema.json`,
  }));
  return [profile, ...services];
}

/** A JSON Schema (draft 7) as text. @throws PreconditionError when the package lacks it */
export async function schemaText({ file }: Pick<SchemaFile, 'file'>): Promise<string> {
  const path = join(packageRoot(), 'schemas', file);
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new PreconditionError(`${path} can't be read (${error.code}): the package is not whole.`, { cause: error });
  });
}

const folder = '.systemprompt/schemas';
const settingsFile = '.vscode/settings.json';

/**
 * Puts the schemas beside the project's private state and tells VS Code (and editors that read its settings) which file
 * is described by which; other settings stay.
 * @param root the project's folder
 * @returns the files that were written, from that folder
 * @throws ConflictError when the editor's settings are not plain JSON and would have to be written anew
 */
export async function writeSchemas(root: string): Promise<string[]> {
  const kinds = schemaFiles();
  const settings = await editorSettings(root, kinds);
  await mkdir(join(root, folder), { recursive: true, mode: 0o700 });
  for (const kind of kinds) await writeFileAtomic(join(root, folder, kind.file), await schemaText(kind), 0o600);
  const written = kinds.map(({ file }) => `${folder}/${file}`);
  if (settings === undefined) return written;
  await mkdir(join(root, '.vscode'), { recursive: true });
  await writeFileAtomic(join(root, settingsFile), settings, 0o644);
  return [...written, settingsFile];
}

/** The settings with our schemas in them; undefined when they are in them already. */
async function editorSettings(root: string, kinds: readonly SchemaFile[]): Promise<string | undefined> {
  const before = await readFile(join(root, settingsFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw new PreconditionError(`${settingsFile} can't be read (${error.code}).`, { cause: error });
  });
  // What another file includes can be of any name: no pattern finds it.
  const ours = Object.fromEntries(
    kinds.filter(({ kind }) => kind !== 'fragment').map(({ file, place }) => [`./${folder}/${file}`, place]),
  );
  const settings = parsed(before);
  if (settings === undefined) {
    throw new ConflictError(`${settingsFile} holds comments or is no JSON, and is left as it is.`, {
      hint: `Add to it: "yaml.schemas": ${JSON.stringify(ours)}`,
    });
  }
  const schemas = settings['yaml.schemas'];
  const others = typeof schemas === 'object' && schemas !== null ? schemas : {};
  const after = `${JSON.stringify({ ...settings, 'yaml.schemas': { ...others, ...ours } }, undefined, 2)}\n`;
  return after === before ? undefined : after;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // JSON with comments, which VS Code allows.
    return undefined;
  }
}
