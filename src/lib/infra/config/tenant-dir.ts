import { join } from 'node:path';
import { defaultTenant } from './active-profile.ts';

/** Under `.systemprompt/`: the state of each tenant but `local`, a folder each. */
export const tenantsFolder = 'tenants';
/** In a tenant's folder: it is being deleted, and nothing may be started in it any more. */
export const deletionMark = 'deleting.json';

/** Where the state of a tenant lies. */
export function tenantDir(projectDir: string, tenant: string): string {
  return tenant === defaultTenant ? projectDir : join(projectDir, tenantsFolder, tenant);
}
