import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { newInstanceRoot, requireInstance } from './instance.ts';

/** Where an instance is and whose it is, for those who look after it without being its owner. */
export interface InstanceSite {
  readonly id: string;
  readonly root: string;
  /** `.systemprompt/`. */
  readonly dir: string;
  /** Who owns it, and alone may run it. */
  readonly uid: number;
}

/**
 * The instance that a command started in `cwd` means. Root may look at everybody's, since it installs what runs as
 * somebody else; for all others it must be their own.
 *
 * @throws PreconditionError when there is none, or it is another user's
 */
export async function requireInstanceSite(cwd: string, env: NodeJS.ProcessEnv): Promise<InstanceSite> {
  const self = process.getuid?.() ?? 0;
  if (self === 0) {
    const found = env['SYSTEMPROMPT_ROOT'] ? siteIn(newInstanceRoot(cwd, env)) : above(resolve(cwd));
    if (found !== undefined && found.uid !== self) return found;
  }
  const { id, root, dir } = await requireInstance(cwd, env);
  return { id, root, dir, uid: self };
}

function above(folder: string): InstanceSite | undefined {
  const found = siteIn(folder);
  const parent = resolve(folder, '..');
  return found ?? (parent === folder ? undefined : above(parent));
}

function siteIn(root: string): InstanceSite | undefined {
  const dir = join(root, '.systemprompt');
  try {
    const { id } = JSON.parse(readFileSync(join(dir, 'instance.json'), 'utf8')) as { id?: unknown };
    if (typeof id !== 'string' || !/^[0-9a-f-]{36}$/.test(id)) return undefined;
    return { id, root, dir, uid: statSync(dir).uid };
  } catch {
    return undefined; // not there or damaged: whoever reads it as its owner says what is wrong
  }
}
