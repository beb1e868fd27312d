import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { activeProfile, type ProfileRequest, tenantDir, tenantOfProfile } from './active-profile.ts';
import { newInstanceRoot, requireInstance } from './instance.ts';

/** Where an instance is and whose it is, for those who look after it without being its owner. */
export interface InstanceSite {
  readonly id: string;
  readonly root: string;
  /** `.systemprompt/`. */
  readonly projectDir: string;
  /** The tenant's own state. */
  readonly dir: string;
  /** The active profile, whose tenant it is. */
  readonly profile: string;
  /** Who owns it, and alone may run it. */
  readonly uid: number;
}

/**
 * The instance that a command started in `cwd` means. Root may look at everybody's, since it installs what runs as
 * somebody else; for all others it must be their own.
 *
 * @throws PreconditionError when there is none, or it is another user's
 */
export async function requireInstanceSite(request: ProfileRequest): Promise<InstanceSite> {
  const { cwd, env, profile } = request;
  const self = process.getuid?.() ?? 0;
  if (self === 0) {
    const found = env['SYSTEMPROMPT_ROOT'] ? siteIn(newInstanceRoot(cwd, env), request) : above(resolve(cwd), request);
    if (found !== undefined && found.uid !== self) return found;
  }
  const { id, root, projectDir, dir } = await requireInstance(cwd, env, profile);
  return { id, root, projectDir, dir, uid: self, profile: activeProfile({ root, projectDir }, request).name };
}

function above(folder: string, request: ProfileRequest): InstanceSite | undefined {
  const found = siteIn(folder, request);
  const parent = resolve(folder, '..');
  return found ?? (parent === folder ? undefined : above(parent, request));
}

function siteIn(root: string, request: ProfileRequest): InstanceSite | undefined {
  const projectDir = join(root, '.systemprompt');
  if (instanceIdIn(projectDir) === undefined) return undefined;
  const profile = activeProfile({ root, projectDir }, request).name;
  const dir = tenantDir(projectDir, tenantOfProfile(projectDir, profile));
  const id = instanceIdIn(dir);
  return id === undefined ? undefined : { id, root, projectDir, dir, profile, uid: statSync(projectDir).uid };
}

/** The id of the instance in a folder of state; unknown when it can't be read. */
export function instanceIdIn(dir: string): string | undefined {
  try {
    const { id } = JSON.parse(readFileSync(join(dir, 'instance.json'), 'utf8')) as { id?: unknown };
    return typeof id === 'string' && /^[0-9a-f-]{36}$/.test(id) ? id : undefined;
  } catch {
    return undefined; // not there or damaged: whoever reads it as its owner says what is wrong
  }
}
