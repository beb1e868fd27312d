import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../infra/config/atomic-file.ts';
import { PreconditionError } from '../../shared/errors.ts';

/** What may lie in the folder of a new project. */
const harmless = ['.git'];
const shownObstacles = 10;

/**
 * Refuses a folder in which something would be in the way; one that is not there, or is empty but for `.git`, is fine.
 * @param folder absolute
 * @returns whether the folder is there
 * @throws PreconditionError listing what is in the way
 */
export async function requireFreeFolder(folder: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code === 'ENOTDIR')
      throw new PreconditionError(`${folder} is a file, not a folder`, { ...whatHelps, cause: error });
    throw new PreconditionError(`The folder ${folder} can't be read (${code})`, { ...whatHelps, cause: error });
  }
  const obstacles = names.filter((name) => !harmless.includes(name)).sort();
  if (obstacles.length === 0) return true;
  const more = obstacles.length > shownObstacles ? ` and ${obstacles.length - shownObstacles} more` : '';
  throw new PreconditionError(
    `${folder} is not empty: ${obstacles.slice(0, shownObstacles).join(', ')}${more} would be in the way`,
    { ...whatHelps, data: { obstacles } },
  );
}

const whatHelps = {
  hint: 'Nothing is ever overwritten: name a folder that is empty or not there yet',
  next: ['init --help'],
};

/**
 * Writes a new project, whole or not at all.
 * @param folder absolute
 * @param files content by path
 * @throws PreconditionError when something is in the way, or the folder can't be written
 */
export async function createProject(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const exists = await requireFreeFolder(folder);
  const stage = exists
    ? join(folder, `.init-${randomUUID()}`)
    : join(dirname(folder), `.${basename(folder)}.init-${randomUUID()}`);
  try {
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(stage);
    for (const [path, content] of files) {
      await mkdir(dirname(join(stage, path)), { recursive: true });
      await writeFile(join(stage, path), content, { flag: 'wx' });
    }
    if (exists) await moveInto(folder, stage);
    else await rename(stage, folder);
    await syncFolder(exists ? folder : dirname(folder));
  } catch (error) {
    if (error instanceof PreconditionError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    // Of two at once the other one was first.
    if (code === 'ENOTEMPTY' || code === 'EEXIST') await requireFreeFolder(folder);
    throw new PreconditionError(`The project can't be written to ${folder} (${code ?? message})`, {
      hint: 'Look at the rights of the folder, and whether the disk is full',
      cause: error,
    });
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** A folder that is there stays the same one, since a shell may stand in it: what was moved is taken out again on a fault. */
async function moveInto(folder: string, stage: string): Promise<void> {
  const moved: string[] = [];
  try {
    // package.json last: without it the folder counts as no project.
    const entries = (await readdir(stage)).sort((a, b) => Number(a === 'package.json') - Number(b === 'package.json'));
    const there = (await readdir(folder)).filter((name) => entries.includes(name));
    if (there.length > 0) await requireFreeFolder(folder);
    for (const name of entries) {
      await rename(join(stage, name), join(folder, name));
      moved.push(name);
    }
  } catch (error) {
    for (const name of moved) await rm(join(folder, name), { recursive: true, force: true });
    throw error;
  }
}
