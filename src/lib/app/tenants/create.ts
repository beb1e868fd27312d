import { defaultTenant, profileNameForm, tenantOfProfile } from '../../infra/config/active-profile.ts';
import { buildTenant, type TenantWish } from '../../infra/config/create-instance.ts';
import {
  createLocalInstance,
  type Instance,
  locateProject,
  newInstanceRoot,
  tenantInstance,
} from '../../infra/config/instance.ts';
import { profileNames } from '../../infra/config/profile.ts';
import {
  isBeingDeleted,
  listTenants,
  readTenants,
  type TenantRecord,
  withTenantsLock,
} from '../../infra/config/tenants-file.ts';
import { ConflictError, InternalError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { makeDatabase, type PlannedDatabase, planDatabase, takeBack } from './database.ts';
import { sweepProjectDrafts, sweepTenantDrafts } from './drafts.ts';
import { choosePorts, defaultPorts, freePort, reservedPorts } from './ports.ts';

export interface CreateTenantRequest {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly name: string;
  /** The first of its ports; of `local` the port of its API. */
  readonly portBase: number | undefined;
  /** A PostgreSQL server of the user's own, with the password. */
  readonly databaseUrl: string | undefined;
}

export interface CreatedTenant {
  readonly instance: Instance;
  readonly record: TenantRecord;
  /** False: it was there already, and is as it was. */
  readonly created: boolean;
  /** The project was made as well. */
  readonly projectCreated: boolean;
  /** The profile of the same name was made, too. */
  readonly profileCreated: boolean;
  /** What killed makers left behind and could not be taken away: why, a sentence for each. */
  readonly kept: readonly string[];
}

/**
 * Makes a local tenant whole or not at all, and a profile of its name; in a folder without a project that too. One that is
 * there is left as it is.
 * @throws UsageError for what can't be a name; ConflictError when it is there and settings were asked for, or when a profile
 *   of the name belongs to another tenant, or ports or database are another's; DatabaseUnavailableError; PreconditionError
 */
export async function createTenant(request: CreateTenantRequest): Promise<CreatedTenant> {
  const { cwd, env, name } = request;
  if (!profileNameForm.test(name)) {
    throw new UsageError('That is no name for a tenant.', {
      hint: 'Use lower-case letters, digits and dashes, at most 50.',
    });
  }
  const project = await locateProject(cwd, env);
  if (project === undefined && name === defaultTenant) return await createProject(request);
  const place = project ?? (await createLocalInstance(newInstanceRoot(cwd, env), env));
  const projectCreated = project === undefined;
  return await withTenantsLock(place, async () => {
    const kept = await sweepTenantDrafts(place);
    const tenants = await readTenants(place);
    const existing = tenants.find(({ id }) => id === name);
    if (existing !== undefined) return { ...(await present(place, existing, request)), projectCreated, kept };
    await refuseForeignProfile(place, name);
    const ports = await choosePorts(await reservedPorts(place, tenants), request.portBase);
    const profileCreated = await build(request, tenants, (wish) => buildTenant(place, name, { ...wish, ports }, env));
    await listTenants(place);
    return { ...(await found(place, name, env)), created: true, projectCreated, profileCreated, kept };
  });
}

/** The project and its tenant `local` come into being together. */
async function createProject(request: CreateTenantRequest): Promise<CreatedTenant> {
  const { cwd, env, portBase } = request;
  const root = newInstanceRoot(cwd, env);
  const kept = await sweepProjectDrafts(root);
  // The ranges of `local` are those that `services/` is written for.
  const ports = portBase === undefined ? undefined : { ...defaultPorts, api: await freePort(portBase) };
  const instance = await build(request, [], async (wish) => {
    const made = await createLocalInstance(root, env, { ...wish, ports });
    if (wish.id !== undefined && made.id !== wish.id) {
      throw new ConflictError('Somebody else made the project in this moment.', { next: ['cloud tenant list'] });
    }
    return made;
  });
  const { record } = await found(instance, defaultTenant, env);
  return { instance, record, created: true, projectCreated: true, profileCreated: true, kept };
}

/** Makes the database, where it is to be on a server of the user's own, as the last step of making the tenant. */
async function build<T>(
  { name, databaseUrl }: CreateTenantRequest,
  others: readonly TenantRecord[],
  make: (wish: TenantWish) => Promise<T>,
): Promise<T> {
  if (databaseUrl === undefined) return await make({});
  const planned = await planDatabase(databaseUrl, name, others);
  let made: PlannedDatabase | undefined;
  const wish: TenantWish = {
    id: planned.instanceId,
    databaseUrl: planned.url,
    database: planned.record,
    prepare: async (dir) => {
      await makeDatabase(planned, dir);
      made = planned;
    },
  };
  try {
    return await make(wish);
  } catch (error) {
    if (made !== undefined) await takeBack(made, error);
    throw error;
  }
}

async function present(
  place: Instance,
  record: TenantRecord,
  { env, portBase, databaseUrl }: CreateTenantRequest,
): Promise<Omit<CreatedTenant, 'projectCreated' | 'kept'>> {
  const { id } = record;
  if (await isBeingDeleted(place, id)) {
    throw new PreconditionError(`The tenant \`${id}\` is being deleted, and that is not finished.`, {
      hint: 'Finish it.',
      data: { tenant: id },
      next: [`cloud tenant delete ${id} --yes`],
    });
  }
  if (record.tenant_type !== 'local' || portBase !== undefined || databaseUrl !== undefined) {
    throw new ConflictError(`There is a tenant \`${id}\` already, and it is left as it is.`, {
      hint: 'Its ports and its database are in its profile; or choose another name.',
      data: { tenant: id },
      next: [`cloud tenant show ${id}`],
    });
  }
  await listTenants(place);
  return { ...(await found(place, id, env)), created: false, profileCreated: false };
}

async function found(place: Instance, name: string, env: NodeJS.ProcessEnv) {
  const instance = await tenantInstance(place, name, env);
  const record = (await readTenants(place)).find(({ id }) => id === name);
  if (instance === undefined || record === undefined)
    throw new InternalError(`The tenant ${name} was made and is not there.`);
  return { instance, record };
}

async function refuseForeignProfile(place: Instance, name: string): Promise<void> {
  if (!(await profileNames(place)).includes(name)) return;
  const tenant = tenantOfProfile(place.projectDir, name);
  if (tenant === name) return;
  throw new ConflictError(`There is a profile \`${name}\`, and it belongs to the tenant \`${tenant}\`.`, {
    hint: 'Choose another name for the tenant: its profile is called the same.',
    data: { profile: name, tenant },
    next: ['cloud tenant list'],
  });
}
