import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readJson } from '../../infra/config/atomic-file.ts';
import { tenantRecordFile, tenantSchema } from '../../infra/config/tenants-file.ts';
import { dropOwnDatabase } from './database.ts';

/** The form of a tenant's folder that is just being made or taken away, below that of the tenants; the first group is the pid. */
export const tenantDraft = /^\.(?:new|deleting)-(\d+)-[0-9a-f-]{36}$/;

/** Removes what is left of a tenant whose maker (or whose deletion) was killed, with the database that was made for it. */
export async function removeTenantDraft(draft: string): Promise<void> {
  if (basename(draft).startsWith('.new-')) {
    const record = await readJson(join(draft, tenantRecordFile), tenantSchema);
    // While its secrets are not whole there is no database of it yet.
    await dropOwnDatabase(draft, record?.database).catch(() => undefined);
  }
  await rm(draft, { recursive: true, force: true });
}
