import { activeProfile, type ProfileRequest, tenantDir, tenantOfProfile } from '../../infra/config/active-profile.ts';
import { type Instance, tenantState } from '../../infra/config/instance.ts';
import { loadProfile } from '../../infra/config/profile.ts';
import { isBeingDeleted, readTenants, type TenantRecord } from '../../infra/config/tenants-file.ts';
import { AppError, isNotRunning } from '../../shared/errors.ts';
import { SupervisorClient } from '../supervisor/client.ts';
import { profilesOf, unknownTenant } from './names.ts';

/** A tenant as people and programs want to see it. */
export interface TenantOverview {
  readonly name: string;
  readonly type: TenantRecord['tenant_type'];
  /** `damaged`: its state can't be read, `reason` says why. */
  readonly state: 'running' | 'stopped' | 'deleting' | 'damaged';
  readonly reason?: string;
  /** It is the one of the active profile. */
  readonly active: boolean;
  readonly profiles: readonly string[];
  readonly dir: string;
  readonly instanceId?: string;
  readonly createdAt?: string;
  /** As its first profile has them, or as they were set aside when that does not hold. */
  readonly ports?: {
    readonly api: number;
    readonly mcp: readonly [number, number];
    readonly agents: readonly [number, number];
  };
  readonly url?: string;
  /** `embedded`, or host, port and name on a server of the user's own. */
  readonly database: string;
}

/**
 * All tenants of a project.
 * @throws PreconditionError when the list is damaged
 */
export async function tenantOverviews(project: Instance, request: ProfileRequest): Promise<TenantOverview[]> {
  const tenants = await readTenants(project);
  const active = activeTenant(project, request);
  return await Promise.all(tenants.map((record) => overviewOf(project, record, active, request.env)));
}

/**
 * One tenant; without a name that of the active profile.
 * @throws NotFoundError with the nearest name; PreconditionError when the list is damaged
 */
export async function tenantOverview(
  project: Instance,
  name: string | undefined,
  request: ProfileRequest,
): Promise<TenantOverview> {
  const active = activeTenant(project, request);
  const wanted = name ?? active;
  const tenants = await readTenants(project);
  const record = tenants.find(({ id }) => id === wanted);
  if (record === undefined) throw unknownTenant(wanted, tenants);
  return await overviewOf(project, record, active, request.env);
}

function activeTenant(project: Instance, request: ProfileRequest): string {
  return tenantOfProfile(project.projectDir, activeProfile(project, request).name);
}

async function overviewOf(
  project: Instance,
  record: TenantRecord,
  active: string,
  env: NodeJS.ProcessEnv,
): Promise<TenantOverview> {
  const { id, tenant_type: type, created_at: createdAt } = record;
  const profiles = await profilesOf(project, id);
  const state = await stateOf(project, id, env);
  const settings = profiles[0] === undefined ? undefined : await settingsOf(project, profiles[0]);
  const ports = settings?.ports ?? record.ports;
  return {
    name: id,
    type,
    ...state,
    active: id === active,
    profiles,
    dir: tenantDir(project.projectDir, id),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(ports === undefined ? {} : { ports }),
    ...(settings === undefined ? {} : { url: settings.url }),
    database: databaseOf(record, settings?.ownServer === true),
  };
}

async function stateOf(
  project: Instance,
  id: string,
  env: NodeJS.ProcessEnv,
): Promise<Pick<TenantOverview, 'state' | 'reason' | 'instanceId'>> {
  if (await isBeingDeleted(project, id)) return { state: 'deleting' };
  try {
    const instance = tenantState(project, id, env);
    if (instance === undefined)
      return { state: 'damaged', reason: `${tenantDir(project.projectDir, id)} holds no state.` };
    return { state: (await runs(instance)) ? 'running' : 'stopped', instanceId: instance.id };
  } catch (error) {
    if (error instanceof AppError) return { state: 'damaged', reason: error.message };
    throw error;
  }
}

async function runs({ controlSocket, runDir }: Instance): Promise<boolean> {
  try {
    (await SupervisorClient.connect(controlSocket, runDir)).close();
    return true;
  } catch (error) {
    if (isNotRunning(error)) return false;
    throw error;
  }
}

interface Settings {
  readonly ports: NonNullable<TenantOverview['ports']>;
  readonly url: string;
  readonly ownServer: boolean;
}

/** Nothing of a profile that does not hold: what is wrong with it is said when it is used. */
async function settingsOf(project: Instance, profile: string): Promise<Settings | undefined> {
  try {
    const { server, ports, database } = await loadProfile(project, profile, {});
    const { mcp, agents } = ports;
    return {
      ports: { api: server.port, mcp, agents },
      url: server.external_url,
      ownServer: database.url !== undefined,
    };
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function databaseOf({ database }: TenantRecord, ownServer: boolean): string {
  if (database !== undefined) return `${database.host}:${database.port}/${database.name}`;
  return ownServer ? 'a server of your own' : 'embedded';
}
