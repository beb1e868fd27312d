import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  defaultTenant,
  deletionMark,
  type ProjectPlace,
  profileNameForm,
  tenantDir,
  tenantsFolder,
} from './active-profile.ts';
import { readJson, writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';

const port = z.int().min(1).max(65_535);
const range = z.tuple([port, port]);

const tenantSchema = z.object({
  id: z.string().regex(profileNameForm),
  name: z.string(),
  tenant_type: z.enum(['local', 'cloud']),
  /** ISO 8601, UTC. */
  created_at: z.iso.datetime().optional(),
  /** What was set aside for it when it was made; its profiles say what holds. */
  ports: z.object({ api: port, mcp: range, agents: range }).optional(),
  /** On a server of the user's own: where, without credentials, and whether the database was made for this tenant. */
  database: z.object({ host: z.string(), port, name: z.string(), created: z.boolean() }).optional(),
});
const tenantsFileSchema = z.object({ tenants: z.array(tenantSchema) });

/** A tenant as it is on record. */
export type TenantRecord = z.infer<typeof tenantSchema>;
export type TenantPorts = NonNullable<TenantRecord['ports']>;
export type TenantDatabase = NonNullable<TenantRecord['database']>;

/** In a tenant's own folder: its record, whole before the tenant is there. `tenants.json` only lists them. */
export const tenantRecordFile = 'tenant.json';

type Project = Pick<ProjectPlace, 'projectDir'>;

/**
 * The tenants of a project, `local` first. A tenant whose folder is there and that is not listed (its maker was killed in
 * the last moment) is among them. A folder with the record of another tenant is none: it is a copy of that one's, or a link to
 * it, and what would be done to it (its processes ended, its database dropped) would be done to the other.
 * @throws PreconditionError when a record is damaged
 */
export async function readTenants({ projectDir }: Project): Promise<TenantRecord[]> {
  const listed = (await readJson(listFile(projectDir), tenantsFileSchema))?.tenants ?? [];
  const folders = await readdir(join(projectDir, tenantsFolder)).catch((): string[] => []); // no folder, no tenants in it
  const found = new Map(listed.map((tenant) => [tenant.id, tenant]));
  for (const id of folders.filter((name) => profileNameForm.test(name))) {
    const own = await readJson(join(tenantDir(projectDir, id), tenantRecordFile), tenantSchema);
    if (own === undefined || own.id === id)
      found.set(id, own ?? found.get(id) ?? { id, name: id, tenant_type: 'local' });
    else found.delete(id);
  }
  if (!found.has(defaultTenant))
    found.set(defaultTenant, { id: defaultTenant, name: defaultTenant, tenant_type: 'local' });
  const there = [...found.values()].filter(
    ({ id, tenant_type }) => tenant_type === 'cloud' || id === defaultTenant || folders.includes(id),
  );
  return there.sort(
    (a, b) => Number(b.id === defaultTenant) - Number(a.id === defaultTenant) || (a.id < b.id ? -1 : 1),
  );
}

/** Writes the list anew from what is there. Call it under {@link withTenantsLock}. */
export async function listTenants(project: Project): Promise<void> {
  const tenants = await readTenants(project);
  await writeFileAtomic(listFile(project.projectDir), `${JSON.stringify({ tenants }, undefined, 2)}\n`, 0o600);
}

/**
 * The record of a tenant in the folder of it, or of the project with it, that is just being made.
 * @throws PreconditionError when it is damaged
 */
export async function recordInDraft(dir: string): Promise<TenantRecord | undefined> {
  const own = await readJson(join(dir, tenantRecordFile), tenantSchema);
  return own ?? (await readJson(listFile(dir), tenantsFileSchema))?.tenants[0];
}

/** Whether the deletion of a tenant was begun. */
export async function isBeingDeleted({ projectDir }: Project, id: string): Promise<boolean> {
  return (await readJson(join(tenantDir(projectDir, id), deletionMark), z.unknown())) !== undefined;
}

/** While tenants are made or deleted, which are done one after the other: each looks at the ports and databases of the others. */
export function withTenantsLock<T>({ projectDir }: Project, work: () => Promise<T>): Promise<T> {
  return withFileLock(`${listFile(projectDir)}.lock`, work, 60_000);
}

function listFile(projectDir: string): string {
  return join(projectDir, 'tenants.json');
}
