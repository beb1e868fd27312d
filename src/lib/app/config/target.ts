import { join, relative } from 'node:path';
import type { z } from 'zod';
import { type Instance, packageServicesDir } from '../../infra/config/instance.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { profileFile } from '../../infra/config/profile.ts';
import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { knownNames } from '../../infra/config/schema-names.ts';
import { dottedPath } from '../../infra/config/yaml-path.ts';
import { NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { kindOf } from './kinds.ts';
import { loadServices } from './load-services.ts';
import { type Section, sections } from './sections.ts';
import type { ConfigPath } from './types.ts';

/** The file that a value is to be written in, and where in it. */
export interface ChangeTarget {
  /** Absolute. */
  readonly file: string;
  readonly kind: 'profile' | 'services';
  readonly path: ConfigPath;
  readonly schema: z.ZodType;
}

/**
 * Finds the file that holds a value, or the one where such values have their place.
 * @throws NotFoundError for a section that there is not; ConfigInvalidError when `services/` has to be read and does not
 *   hold; PreconditionError for the `services/` of the package, which is no one's to change
 */
export async function changeTarget(instance: Instance, profileName: string, path: ConfigPath): Promise<ChangeTarget> {
  const section = String(path[0]);
  if (Object.hasOwn(profileFileSchema.shape, section)) {
    return { file: profileFile(instance, profileName), kind: 'profile', path, schema: profileFileSchema };
  }
  const known: readonly string[] = [...sections, 'settings'];
  if (!known.includes(section)) throw unknownSection(section, known);
  const { servicesDir, root } = instance;
  if (servicesDir === packageServicesDir() && root !== packageRoot()) {
    throw new PreconditionError('The project has no services/ of its own, and those of the package are not changed.', {
      hint: `Make the folder ${join(root, 'services')} first; what is in it holds instead.`,
    });
  }
  const written = (await loadServices({ servicesDir })).sourceOf(path);
  const place = written ?? newPlace(servicesDir, section as Section | 'settings', path);
  return { ...place, kind: 'services', schema: await kindOf(relative(servicesDir, place.file)).schema() };
}

/** Where something that no file has yet is begun. */
function newPlace(
  servicesDir: string,
  section: Section | 'settings',
  path: ConfigPath,
): { readonly file: string; readonly path: ConfigPath } {
  const [, name, ...rest] = path;
  if (section === 'settings') return { file: join(servicesDir, 'config/config.yaml'), path };
  if (['ai', 'content', 'scheduler', 'web', 'extensions'].includes(section)) {
    return { file: join(servicesDir, section, 'config.yaml'), path };
  }
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(name)) {
    throw new UsageError(`${dottedPath(path)} is not one value`, { hint: `Name one of them: ${section}.<name>` });
  }
  if (section === 'skills' || section === 'plugins') {
    return { file: join(servicesDir, section, name, 'config.yaml'), path: rest };
  }
  const folder = section === 'mcp_servers' ? 'mcp' : section;
  return { file: join(servicesDir, folder, `${name}.yaml`), path };
}

function unknownSection(section: string, services: readonly string[]): NotFoundError {
  const names = [...knownNames(profileFileSchema, []), ...services];
  const meant = nearest(section, names, 2);
  return new NotFoundError(`There is no section of that name in the configuration`, {
    hint: meant.length > 0 ? `Did you mean ${meant.join(' or ')}?` : `There is: ${names.join(', ')}`,
    next: ['admin config show'],
  });
}
