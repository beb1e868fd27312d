import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultTenant, deletionMark, tenantDir, tenantsFolder } from '../../infra/config/active-profile.ts';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { type Instance, tenantState } from '../../infra/config/instance.ts';
import { ensureRuntimeDir } from '../../infra/config/runtime-dir.ts';
import { forgetSelection } from '../../infra/config/selection.ts';
import { removeSession } from '../../infra/config/session-file.ts';
import { listTenants, readTenants, type TenantRecord, withTenantsLock } from '../../infra/config/tenants-file.ts';
import { readOwner } from '../../infra/process/postgres-owner.ts';
import { rootInstanceDir } from '../../infra/process/postgres-place.ts';
import { ConflictError, isNotRunning } from '../../shared/errors.ts';
import { installedFiles } from '../boot-service/install.ts';
import { orphanItem, orphansOf } from '../cleanup/orphans.ts';
import { busyInstance } from '../supervisor/busy.ts';
import { SupervisorClient } from '../supervisor/client.ts';
import { bindControlSocket } from '../supervisor/lock.ts';
import { dropOwnDatabase } from './database.ts';
import { profilesOf, unknownTenant } from './names.ts';

/** What a deletion would take away. */
export interface DeletionPlan {
  readonly record: TenantRecord;
  readonly dir: string;
  /** Whether something of it runs, and would be stopped. */
  readonly running: boolean;
  /** Those that are about this tenant. */
  readonly profiles: readonly string[];
  /** On a server of the user's own: dropped when it was made for the tenant, left where it is otherwise. */
  readonly database: TenantRecord['database'];
}

export interface Deleted {
  readonly profiles: readonly string[];
  /** Processes that were ended although no supervisor had them in care. */
  readonly ended: readonly string[];
  readonly droppedDatabase: string | undefined;
}

/**
 * Looks at what a tenant has; changes nothing.
 * @throws NotFoundError with the nearest name; ConflictError for `local` beside others, and for a tenant that starts at boot
 */
export async function planDeletion(project: Instance, name: string, env: NodeJS.ProcessEnv): Promise<DeletionPlan> {
  const tenants = await readTenants(project);
  const record = tenants.find(({ id }) => id === name);
  if (record === undefined) throw unknownTenant(name, tenants);
  const others = tenants.filter(({ id }) => id !== name);
  if (name === defaultTenant && others.length > 0) {
    throw new ConflictError('The tenant `local` is the project itself, and there are others in it.', {
      hint: `Delete those first: ${others.map(({ id }) => id).join(', ')}`,
      data: { tenants: others.map(({ id }) => id) },
      next: ['cloud tenant list'],
    });
  }
  const state = tenantState(project, name, env);
  const profiles = await profilesOf(project, name);
  if (state === undefined)
    return { record, dir: tenantDir(project.projectDir, name), running: false, profiles, database: undefined };
  const [installed] = installedFiles(state.id, env);
  if (installed !== undefined) {
    throw new ConflictError(`The tenant \`${name}\` is started at boot by ${installed.path}.`, {
      hint: 'Undo that first.',
      data: { path: installed.path },
      next: [`infra services uninstall${profiles[0] === undefined ? '' : ` --profile ${profiles[0]}`}`],
    });
  }
  await refuseTwin(state);
  const running = (await runningRoot(state)) !== undefined || (await orphansOf(state.id, undefined)).length > 0;
  return { record, dir: state.dir, running, profiles, database: record.database };
}

/**
 * Deletes a tenant: stops what runs, ends what no supervisor has in care, drops the database that was made for it, and removes
 * its data, keys, secrets, logs and profiles. It is marked before anything is taken away: from then on nothing starts in it, and a
 * deletion that was interrupted is finished by the next.
 * @throws as {@link planDeletion}; TimeoutError when it does not stop; DatabaseUnavailableError when its database can't be dropped
 */
export async function deleteTenant(project: Instance, name: string, env: NodeJS.ProcessEnv): Promise<Deleted> {
  return await withTenantsLock(project, async () => {
    const { record, profiles } = await planDeletion(project, name, env);
    const state = tenantState(project, name, env);
    if (state === undefined) {
      await forget(project, name, profiles);
      return { profiles, ended: [], droppedDatabase: undefined };
    }
    // The one that is the project itself has no mark: it goes in one rename, and until then it is whole.
    if (name !== defaultTenant)
      await writeFileAtomic(
        join(state.dir, deletionMark),
        `${JSON.stringify({ at: new Date().toISOString() })}\n`,
        0o600,
      );
    await shutDown(state);
    await ensureRuntimeDir(state);
    const lock = await bindControlSocket(busyInstance('The tenant is being deleted.'), state.controlSocket);
    try {
      const ended = await endOrphans(state.id);
      const droppedDatabase = await dropOwnDatabase(state.dir, record.database);
      await removeRootData(state.id);
      if (name === defaultTenant) await removeProject(state);
      else await forget(project, name, profiles);
      return { profiles, ended, droppedDatabase };
    } finally {
      await lock.release();
      await rm(state.runtimeDir, { recursive: true, force: true });
    }
  });
}

/**
 * A project that was copied as a whole has the ids of the first: what would be stopped and removed by its id is the other's.
 * @throws ConflictError naming where that one is
 */
async function refuseTwin(state: Instance): Promise<void> {
  const running = await runningRoot(state);
  const owner = await readOwner(rootInstanceDir(state.id));
  const other =
    running !== undefined && !isSameFolder(running, state.root)
      ? running
      : // One that was moved has left nothing in its former place.
        owner !== undefined && existsSync(owner.dir) && !isSameFolder(owner.dir, state.dir)
        ? owner.dir
        : undefined;
  if (other === undefined) return;
  throw new ConflictError(`${state.dir} is a copy: processes and data of this id belong to ${other}.`, {
    hint: 'Remove the copy by hand; nothing was changed.',
    data: { dir: state.dir, other },
  });
}

function isSameFolder(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino;
}

/** The project folder of the supervisor that runs, if one does. */
async function runningRoot(state: Instance): Promise<string | undefined> {
  const client = await connectIfRunning(state);
  try {
    return (await client?.status())?.root;
  } finally {
    client?.close();
  }
}

/** @throws ConflictError naming what is unkillable */
async function endOrphans(id: string): Promise<string[]> {
  const orphans = await orphansOf(id, undefined);
  // The database last: the others still have something to write there.
  orphans.sort((a, b) => Number(a.service === 'database') - Number(b.service === 'database'));
  const ended: string[] = [];
  for (const orphan of orphans) {
    const item = orphanItem(id, orphan, false);
    await item.remove();
    ended.push(item.what);
  }
  return ended;
}

async function shutDown(state: Instance): Promise<void> {
  const client = await connectIfRunning(state);
  if (client === undefined) return;
  try {
    await client.shutdown(false);
  } finally {
    client.close();
  }
}

async function connectIfRunning({ controlSocket, runDir }: Instance): Promise<SupervisorClient | undefined> {
  try {
    return await SupervisorClient.connect(controlSocket, runDir);
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    return undefined;
  }
}

/** What root's instances keep outside of their projects. First out of the way as a whole: half of it must never look like one. */
async function removeRootData(id: string): Promise<void> {
  const folder = rootInstanceDir(id);
  if (!existsSync(folder)) return;
  const aside = join(dirname(folder), `.removing-${randomUUID()}`);
  await rename(folder, aside);
  await rm(aside, { recursive: true, force: true });
}

/** What the project knows of the tenant, and then its state. */
async function forget(project: Instance, name: string, profiles: readonly string[]): Promise<void> {
  const { projectDir } = project;
  for (const profile of profiles) {
    await removeSession(project, profile);
    await forgetSelection(project, profile);
    await rm(join(projectDir, 'profiles', profile), { recursive: true, force: true });
  }
  const tenants = join(projectDir, tenantsFolder);
  await mkdir(tenants, { recursive: true, mode: 0o700 });
  const dir = tenantDir(projectDir, name);
  const aside = join(tenants, `.deleting-${process.pid}-${randomUUID()}`);
  if (existsSync(dir)) await rename(dir, aside);
  await listTenants(project);
  await rm(aside, { recursive: true, force: true });
}

/** The only tenant is the project itself. */
async function removeProject({ root, projectDir }: Instance): Promise<void> {
  const aside = join(root, `.systemprompt.deleting-${process.pid}-${randomUUID()}`);
  await rename(projectDir, aside);
  await rm(aside, { recursive: true, force: true });
}
