import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tenantsFolder } from '../../infra/config/active-profile.ts';
import { instanceIdIn } from '../../infra/config/instance-site.ts';

/** How deep below the folder that is still there, and among how many folders, a project is looked for. */
const depthLimit = 3;
const folderLimit = 2_000;
const skipped: ReadonlySet<string> = new Set(['node_modules', '.git', 'proc', 'sys', 'dev']);

/**
 * Finds projects that were moved not far from where they were. One that was moved further is not found; it makes itself known
 * at its next start. Each neighbourhood is looked through once.
 */
export class InstancesNear {
  readonly #byFolder = new Map<string, ReadonlyMap<string, string>>();

  /**
   * @param dir the folder of state that is not there any more: a `.systemprompt`, or a tenant's below one
   * @returns the one that has the id now
   */
  find(dir: string, id: string): string | undefined {
    const above = dirname(dir);
    const projectDir = basename(above) === tenantsFolder ? dirname(above) : dir;
    let folder = dirname(dirname(projectDir));
    while (!existsSync(folder)) folder = dirname(folder);
    const known = this.#byFolder.get(folder) ?? instancesBelow(folder);
    this.#byFolder.set(folder, known);
    return known.get(id);
  }
}

/** The instances below a folder, and it itself, by their ids; the nearest are looked at first. */
function instancesBelow(top: string): Map<string, string> {
  const found = new Map<string, string>();
  let level = [top];
  let looked = 0;
  for (let depth = 0; depth <= depthLimit; depth += 1) {
    const next: string[] = [];
    for (const folder of level) {
      looked += 1;
      if (looked > folderLimit) return found;
      const dir = join(folder, '.systemprompt');
      for (const state of statesIn(dir)) {
        const id = instanceIdIn(state);
        if (id !== undefined) found.set(id, state);
      }
      next.push(...foldersIn(folder));
    }
    level = next;
  }
  return found;
}

/** The state of the project's tenants: of `local`, which is `.systemprompt` itself, and of the others. */
function statesIn(projectDir: string): string[] {
  if (!existsSync(projectDir)) return [];
  const tenants = join(projectDir, tenantsFolder);
  return existsSync(tenants) ? [projectDir, ...foldersIn(tenants)] : [projectDir];
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== '.systemprompt' && !skipped.has(entry.name))
      .map((entry) => join(folder, entry.name));
  } catch {
    return []; // gone meanwhile, or not ours to read: nothing is found there
  }
}
