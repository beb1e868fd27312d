import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tenantsFolder } from '../../infra/config/active-profile.ts';
import { abandonedProjects, databaseOfDraft } from '../../infra/config/create-instance.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { dropOwnDatabase } from './database.ts';

/** The form of a tenant's folder that is just being made or taken away, below that of the tenants; the first group is the pid. */
export const tenantDraft = /^\.(?:new|deleting)-(\d+)-[0-9a-f-]{36}$/;

/**
 * Removes what is left of a tenant, or of a project, whose maker (or whose deletion) was killed, with the database that was
 * made for it. The keys to that one are in it: while the database can't be dropped, it stays.
 * @param draft the folder
 * @throws PreconditionError naming the database, and what ends it
 */
export async function removeTenantDraft(draft: string): Promise<void> {
  const database = await databaseOfDraft(draft);
  try {
    await dropOwnDatabase(draft, database);
  } catch (cause) {
    const { host, port, name } = database ?? {};
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PreconditionError(
      `${draft} is kept: the database ${name} on ${host}:${port}, made for a tenant that never came to be, could not be dropped (${reason})`,
      {
        hint: 'Do it when the server answers; if the server is gone for good, remove the folder by hand.',
        data: { draft, database: name },
        next: ['infra services cleanup'],
        cause,
      },
    );
  }
  await rm(draft, { recursive: true, force: true });
}

/**
 * Takes away what makers of tenants left behind that were killed. Call it under the lock of the tenants: then nobody is at it.
 * @returns why something had to stay, a sentence for each
 */
export async function sweepTenantDrafts({ projectDir }: { readonly projectDir: string }): Promise<string[]> {
  const folder = join(projectDir, tenantsFolder);
  const names = await readdir(folder).catch((): string[] => []); // no folder, no drafts in it
  return await sweep(names.filter((name) => tenantDraft.test(name)).map((name) => join(folder, name)));
}

/** As {@link sweepTenantDrafts}, of makers of the project. */
export async function sweepProjectDrafts(root: string): Promise<string[]> {
  return await sweep(await abandonedProjects(root));
}

async function sweep(drafts: readonly string[]): Promise<string[]> {
  const kept: string[] = [];
  for (const draft of drafts) {
    try {
      await removeTenantDraft(draft);
    } catch (error) {
      if (!(error instanceof PreconditionError)) throw error;
      kept.push(error.message);
    }
  }
  return kept;
}
