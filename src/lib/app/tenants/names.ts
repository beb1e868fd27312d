import { type ProjectPlace, tenantOfProfile } from '../../infra/config/active-profile.ts';
import { profileNames } from '../../infra/config/profile.ts';
import type { TenantRecord } from '../../infra/config/tenants-file.ts';
import { ConfigInvalidError, NotFoundError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';

/** The profiles that name a tenant, the one of its own name first. A profile whose line can't be read names none. */
export async function profilesOf(project: Pick<ProjectPlace, 'projectDir'>, tenant: string): Promise<string[]> {
  const names = await profileNames(project);
  const its = names.filter((name) => {
    try {
      return tenantOfProfile(project.projectDir, name) === tenant;
    } catch (error) {
      if (error instanceof ConfigInvalidError) return false; // it is said when that profile is used
      throw error;
    }
  });
  return its.sort((a, b) => Number(b === tenant) - Number(a === tenant));
}

/** The error about a tenant that there is not, with the nearest names. */
export function unknownTenant(name: string, tenants: readonly TenantRecord[]): NotFoundError {
  const names = tenants.map(({ id }) => id);
  const near = nearest(name, names);
  return new NotFoundError(`There is no tenant \`${name.slice(0, 60)}\`.`, {
    hint: near.length > 0 ? `Did you mean ${near.join(', ')}?` : `There is: ${names.join(', ')}.`,
    data: { tenant: name.slice(0, 60), available: names },
    next: ['cloud tenant list'],
  });
}
