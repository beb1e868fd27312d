import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { defaultTenant, profileNameForm, tenantOfProfile } from '../../infra/config/active-profile.ts';
import { syncFolder, writeFileAtomic } from '../../infra/config/atomic-file.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { loadProfile, type Profile, profileFile, profileNames, requireProfile } from '../../infra/config/profile.ts';
import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { profileText } from '../../infra/config/profile-text.ts';
import { readTenants, type TenantPorts, withTenantsLock } from '../../infra/config/tenants-file.ts';
import { parseYamlText } from '../../infra/config/yaml.ts';
import type { YamlChange } from '../../infra/config/yaml-edit.ts';
import { displayPath, readYamlText } from '../../infra/config/yaml-source.ts';
import { editYamlText } from '../../infra/config/yaml-splice.ts';
import { isPortFree } from '../../infra/process/ports.ts';
import { AppError, ConfigInvalidError, ConflictError, PortTakenError, UsageError } from '../../shared/errors.ts';
import { profileFindings } from '../config/profile-findings.ts';
import { profilesOf, unknownTenant } from '../tenants/names.ts';
import { type ReservedPorts, reservedPorts } from '../tenants/ports.ts';

export interface CreateProfileRequest {
  readonly name: string;
  /** Absent: the tenant of the profile's name, else `local`. */
  readonly tenant?: string | undefined;
  /** A profile whose settings the new one begins with. */
  readonly from?: string | undefined;
  readonly port?: number | undefined;
  readonly changes: readonly YamlChange[];
}

export interface CreatedProfile {
  /** False: it was there already, and is as it was. */
  readonly created: boolean;
  readonly file: string;
  readonly profile: Profile;
}

const defaultRanges = profileFileSchema.parse({}).ports;
const environments: ReadonlySet<string> = new Set(['development', 'test', 'staging', 'production']);
/** Where the search for a free port of the API begins, and how far it goes. */
const ports = { first: 8080, end: 8980 };

/**
 * Makes a profile. One that is there is left as it is, which is success unless settings were asked for.
 * @throws UsageError, NotFoundError, ConflictError, PortTakenError; ConfigInvalidError when the settings do not hold
 */
export async function createProfile(project: Instance, request: CreateProfileRequest): Promise<CreatedProfile> {
  const { name } = request;
  if (!profileNameForm.test(name)) {
    throw new UsageError('That is no name for a profile.', {
      hint: 'Use lower-case letters, digits and dashes, at most 50.',
    });
  }
  // The lock under which ports are set aside for tenants: two makers do not find the same port free.
  return await withTenantsLock(project, async () => {
    if ((await profileNames(project)).includes(name)) return await present(project, request);
    const file = profileFile(project, name);
    const text = await textOf(project, request, displayPath(file));
    await requireValid(project, name, text);
    await write(file, text);
    return { created: true, file, profile: await loadProfile(project, name, {}) };
  });
}

async function present(project: Instance, { name, tenant, from, port, changes }: CreateProfileRequest) {
  const other = tenant !== undefined && tenant !== tenantOfProfile(project.projectDir, name);
  if (other || from !== undefined || port !== undefined || changes.length > 0) {
    throw new ConflictError(`There is a profile \`${name}\` already, and it is left as it is.`, {
      hint: 'Change it, or choose another name.',
      data: { profile: name },
      next: [`cloud profile show ${name}`, 'cloud profile edit --help'],
    });
  }
  return { created: false, file: profileFile(project, name), profile: await loadProfile(project, name, {}) };
}

async function textOf(project: Instance, request: CreateProfileRequest, shown: string): Promise<string> {
  const { name, from } = request;
  const tenants = await readTenants(project);
  if (from !== undefined) await requireProfile(project, from);
  const inherited = from === undefined ? undefined : tenantOfProfile(project.projectDir, from);
  const same = tenants.some(({ id }) => id === name) ? name : defaultTenant;
  const tenant = request.tenant ?? inherited ?? same;
  const record = tenants.find(({ id }) => id === tenant);
  if (record === undefined) throw unknownTenant(tenant, tenants);
  const sibling = await siblingOf(project, tenant);
  const reserved = await reservedPorts(project, tenants);
  if (request.port !== undefined) refuseTaken(reserved, request.port);
  const port = request.port ?? (await freePort(reserved));
  // Of a tenant's profiles one runs at a time, so they share its ranges; the address of each is its own.
  const ranges = sibling?.ports ?? record.ports ?? defaultRanges;
  const own: TenantPorts = { api: port, mcp: [...ranges.mcp], agents: [...ranges.agents] };
  if (from === undefined) {
    const usual = isDeepStrictEqual([own.mcp, own.agents], [defaultRanges.mcp, defaultRanges.agents]);
    const draft = { name, tenant, ports: usual ? undefined : own, databaseUrl: sibling?.database.url };
    return editYamlText(profileText(draft, project.root), shown, [
      { path: ['server', 'port'], value: port },
      ...(environments.has(name) ? [{ path: ['runtime', 'environment'], value: name }] : []),
      // What listens for others does so on every interface, unless it is told otherwise.
      ...(setsTo(request.changes, ['target'], 'cloud') ? [{ path: ['server', 'host'], unset: true as const }] : []),
      ...request.changes,
    ]);
  }
  const source = await readYamlText(profileFile(project, from));
  if ('issue' in source) throw new ConfigInvalidError([source.issue]);
  return editYamlText(source.text, shown, [
    { path: ['name'], value: name },
    { path: ['tenant'], value: tenant },
    { path: ['server', 'port'], value: port },
    // What is about the address of the other one.
    { path: ['display_name'], unset: true },
    { path: ['server', 'external_url'], unset: true },
    { path: ['security', 'issuer'], unset: true },
    ...(tenant === inherited ? [] : elsewhere(own, sibling)),
    ...request.changes,
  ]);
}

function setsTo(changes: readonly YamlChange[], path: readonly string[], value: unknown): boolean {
  return changes.some((change) => 'value' in change && isDeepStrictEqual(change.path, path) && change.value === value);
}

/** What goes with the tenant and not with the settings. */
function elsewhere({ mcp, agents }: TenantPorts, sibling: Profile | undefined): YamlChange[] {
  const path = ['database', 'url'];
  const url = sibling?.database.url;
  return [
    { path: ['ports'], value: { mcp, agents } },
    url === undefined ? { path, unset: true } : { path, value: url },
  ];
}

/** A profile that the tenant has already: it says where its database is. */
async function siblingOf(project: Instance, tenant: string): Promise<Profile | undefined> {
  for (const name of await profilesOf(project, tenant)) {
    try {
      return await loadProfile(project, name, {});
    } catch (error) {
      if (!(error instanceof AppError)) throw error; // it is said when that profile is used
    }
  }
  return undefined;
}

async function freePort(reserved: readonly ReservedPorts[]): Promise<number> {
  for (let port = ports.first; port < ports.end; port += 1) {
    if (holderOf(reserved, port) === undefined && (await isPortFree(port))) return port;
  }
  throw new PortTakenError(`No port is free from ${ports.first} to ${ports.end - 1}.`, {
    hint: 'Name one with --port.',
  });
}

function refuseTaken(reserved: readonly ReservedPorts[], port: number): void {
  const holder = holderOf(reserved, port);
  if (holder === undefined) return;
  throw new ConflictError(`Port ${port} is one of those that ${holder.by} has.`, {
    hint: 'Choose another, or leave --port out: a free one is found then.',
    data: { port },
    next: ['cloud profile list'],
  });
}

function holderOf(reserved: readonly ReservedPorts[], port: number): ReservedPorts | undefined {
  return reserved.find(({ range: [from, to] }) => from <= port && port <= to);
}

async function requireValid(project: Instance, name: string, text: string): Promise<void> {
  const hint = 'Nothing was written. Lines are those of the file as it would be.';
  const parsed = parseYamlText(text, displayPath(profileFile(project, name)), profileFileSchema);
  if ('issues' in parsed) throw new ConfigInvalidError(parsed.issues, { hint });
  const issues = await profileFindings(project, name, parsed, text);
  if (issues.length > 0) throw new ConfigInvalidError(issues, { hint });
}

async function write(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await writeFileAtomic(file, text, 0o600);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(join(folder, '..'));
}
