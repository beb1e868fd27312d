import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { PreconditionError } from '../../shared/errors.ts';

/**
 * Replaces a file as one step: readers see the old content or the new, also after a crash or a power cut. The mode holds
 * whatever the umask is and from the first byte on.
 * @param mode permission bits of the new file
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.chmod(mode);
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Removes what writers that were killed left half written in a folder. Only for whoever alone writes there: another's
 * {@link writeFileAtomic} that is under way would fail.
 * @param spared names of files that others write as well
 */
export async function removeHalves(folder: string, spared: readonly string[]): Promise<void> {
  const halves = (await readdir(folder)).filter((name) => name.startsWith('.') && name.endsWith('.tmp'));
  const own = halves.filter((name) => !spared.some((file) => name.startsWith(`.${file}.`)));
  await Promise.all(own.map((name) => rm(join(folder, name), { force: true })));
}

/** Makes a rename in the folder durable: fsync of a file does not cover its name (fsync(2)). */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Reads a JSON file of ours and checks it.
 * @returns undefined when there is no such file
 * @throws PreconditionError naming file and place, never its content: such files hold tokens and keys
 */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PreconditionError(`${file} can't be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
  const value = parseJson(text);
  if (value === undefined) throw damagedFile(file, 'it is not JSON');
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const places = checked.error.issues.map((issue) => issue.path.map(String).join('.') || 'the whole').slice(0, 5);
  throw damagedFile(file, `not as expected: ${places.join(', ')}`);
}

/** Undefined for what is not JSON: the parser's own error quotes the text around the fault and must not travel on. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function damagedFile(file: string, what: string): PreconditionError {
  return new PreconditionError(`${file} is damaged: ${what}.`, {
    hint: 'Restore the file from a backup.',
    data: { file },
  });
}
