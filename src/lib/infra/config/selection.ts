import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { directoryProfileFile, type ProjectPlace, selectionFile } from './active-profile.ts';
import { readJson, writeFileAtomic } from './atomic-file.ts';

/** Makes a profile the active one of the whole project, for runs that say nothing else. That there is one is the caller's to check. */
export async function selectProfile({ projectDir }: Pick<ProjectPlace, 'projectDir'>, name: string): Promise<string> {
  const file = join(projectDir, selectionFile);
  await writeFileAtomic(file, `${JSON.stringify({ version: 1, profile: name })}\n`, 0o600);
  return file;
}

/** Forgets what was selected for the project, if it is that profile. */
export async function forgetSelection({ projectDir }: Pick<ProjectPlace, 'projectDir'>, name: string): Promise<void> {
  const file = join(projectDir, selectionFile);
  const selected = await readJson(file, z.object({ profile: z.string() }));
  if (selected?.profile === name) await rm(file, { force: true });
}

/** Makes a profile the active one in a folder and below it. The file holds the name alone and may be put under version control. */
export async function selectInDirectory(folder: string, name: string): Promise<string> {
  const file = join(folder, directoryProfileFile);
  await writeFileAtomic(file, `${name}\n`, 0o644);
  return file;
}
