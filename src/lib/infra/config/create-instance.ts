import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError, PreconditionError } from '../../shared/errors.ts';
import { defaultTenant, tenantDir, tenantsFolder } from './active-profile.ts';
import { syncFolder, writeFileAtomic } from './atomic-file.ts';
import { firstMasterKey } from './master-key/first.ts';
import { profileText } from './profile-text.ts';
import { firstSecrets } from './secrets/names.ts';
import { openSecretStore } from './secrets.ts';
import {
  recordInDraft,
  type TenantDatabase,
  type TenantPorts,
  type TenantRecord,
  tenantRecordFile,
} from './tenants-file.ts';

const FINAL = '.systemprompt';
const instanceFile = 'instance.json';
const DRAFT = /^\.systemprompt\.(?:new|deleting)-(\d+)-[0-9a-f-]+$/;
/** The name under which `database.url` of a tenant is kept among its secrets. */
export const databaseUrlSecret = 'database.url';

/** How a new tenant is to be; without anything it is as the defaults say. */
export interface TenantWish {
  readonly ports?: TenantPorts | undefined;
  /** Kept as a secret of the tenant; its profile refers to it. */
  readonly databaseUrl?: string | undefined;
  readonly database?: TenantDatabase | undefined;
  /** Id of the instance; random unless told. */
  readonly id?: string | undefined;
  /** Last of all before the tenant is there: when it throws, there is none. @param dir where the tenant's state lies meanwhile */
  prepare?(dir: string): Promise<void>;
}

/**
 * Builds `<root>/.systemprompt` in a folder beside it and moves it into place in one rename, which fails when another
 * creator was first; then that one's stands and ours is thrown away.
 * @returns whether it is ours
 * @throws PreconditionError when the folder can't be written; what `prepare` threw
 */
export async function buildInstance(root: string, env: NodeJS.ProcessEnv, wish: TenantWish = {}): Promise<boolean> {
  const draft = join(root, `${FINAL}.new-${process.pid}-${randomUUID()}`);
  try {
    await removeDrafts(root);
    const ours = await moveInto(join(root, FINAL), draft, async () => {
      // First of all, so that not even a draft left behind by a crash can be committed.
      await writeFileAtomic(join(draft, '.gitignore'), '*\n', 0o600);
      for (const folder of ['profiles', 'profiles/local', 'sessions'])
        await mkdir(join(draft, folder), { mode: 0o700 });
      const record = recordOf(defaultTenant, wish);
      await writeJson(join(draft, 'tenants.json'), { tenants: [record] });
      await writeFileAtomic(join(draft, 'profiles/local/profile.yaml'), textOf(defaultTenant, wish, root), 0o600);
      await fill(draft, wish, env);
    });
    await syncFolder(root);
    return ours;
  } catch (error) {
    throw cannotCreate(root, error);
  }
}

/**
 * Builds the state of a tenant and its profile, as {@link buildInstance} does. Call it under the lock of the tenants. A profile of
 * the tenant's name that is there already is left as it is.
 * @returns whether a profile was made
 * @throws PreconditionError when the folder can't be written; what `prepare` threw
 */
export async function buildTenant(
  { root, projectDir }: { readonly root: string; readonly projectDir: string },
  name: string,
  wish: TenantWish,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const tenants = join(projectDir, tenantsFolder);
  const draft = join(tenants, `.new-${process.pid}-${randomUUID()}`);
  const profile = join(projectDir, 'profiles', name);
  let profileMade = false;
  try {
    await mkdir(tenants, { recursive: true, mode: 0o700 });
    const ours = await moveInto(tenantDir(projectDir, name), draft, async () => {
      await writeJson(join(draft, tenantRecordFile), recordOf(name, wish));
      await fill(draft, wish, env);
      // A profile without its tenant says what is missing, a tenant without a profile is of no use: so the profile is there first.
      profileMade = await makeProfile(profile, textOf(name, wish, root));
    });
    if (!ours) throw new PreconditionError(`${tenantDir(projectDir, name)} is there and is no tenant.`);
    await syncFolder(tenants);
    return profileMade;
  } catch (error) {
    if (profileMade) await rm(profile, { recursive: true, force: true });
    throw cannotCreate(projectDir, error);
  }
}

/** @returns false when something is there already, and then the draft is gone */
async function moveInto(place: string, draft: string, make: () => Promise<void>): Promise<boolean> {
  await mkdir(draft, { mode: 0o700 });
  try {
    await make();
    await rename(draft, place);
    return true;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // rename(2): the new path is a directory with entries in it.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    return false;
  }
}

/** The private state of one tenant. */
async function fill(dir: string, wish: TenantWish, env: NodeJS.ProcessEnv): Promise<void> {
  for (const folder of ['run', 'logs', 'data']) await mkdir(join(dir, folder), { mode: 0o700 });
  await firstMasterKey(dir, env);
  const own = wish.databaseUrl === undefined ? [] : [[databaseUrlSecret, wish.databaseUrl] as const];
  await (await openSecretStore({ dir }, env)).setMany(new Map([...firstSecrets(), ...own]));
  const id = wish.id ?? randomUUID();
  await writeJson(join(dir, instanceFile), { id, createdAt: new Date().toISOString() });
  await wish.prepare?.(dir);
}

function recordOf(name: string, { ports, database }: TenantWish): TenantRecord {
  return {
    id: name,
    name,
    tenant_type: 'local',
    created_at: new Date().toISOString(),
    ...(ports === undefined ? {} : { ports }),
    ...(database === undefined ? {} : { database }),
  };
}

function textOf(name: string, { ports, databaseUrl }: TenantWish, root: string): string {
  const reference = databaseUrl === undefined ? undefined : `\${secret:${databaseUrlSecret}}`;
  return profileText({ name, tenant: name, ports, databaseUrl: reference }, root);
}

/** @returns false when there is one already */
async function makeProfile(folder: string, text: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFileAtomic(join(folder, 'profile.yaml'), text, 0o600);
  return true;
}

function writeJson(file: string, value: unknown): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(value, undefined, 2)}\n`, 0o600);
}

/** What creators left behind that were killed: it holds keys that nobody uses, but for those to a database that is there still. */
async function removeDrafts(root: string): Promise<void> {
  for (const draft of await abandonedProjects(root))
    if ((await databaseOfDraft(draft)) === undefined) await rm(draft, { recursive: true, force: true });
}

/** The folders of projects that were being made or taken away when whoever did it was killed. */
export async function abandonedProjects(root: string): Promise<string[]> {
  return (await readdir(root)).flatMap((name) => {
    const pid = DRAFT.exec(name)?.[1];
    return pid === undefined || runs(Number(pid)) ? [] : [join(root, name)];
  });
}

/**
 * The database that was, or was about to be, made for what a killed maker left behind; undefined when there can't be one.
 * @param draft the folder of a tenant or a project beside its place
 * @throws PreconditionError when its record is damaged
 */
export async function databaseOfDraft(draft: string): Promise<TenantDatabase | undefined> {
  // Who takes something away drops the database first; who makes something writes this file first.
  if (!basename(draft).includes('.new-') || !existsSync(join(draft, instanceFile))) return undefined;
  const database = (await recordInDraft(draft))?.database;
  return database?.created === true ? database : undefined;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'something there is a file and should be a folder',
  EACCES: "you can't write there",
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

function cannotCreate(root: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined || error instanceof AppError) return error;
  return new PreconditionError(`No instance can be created in ${root}: ${REASONS[code] ?? code}.`, {
    hint: 'Change to a folder of your own, or name one with SYSTEMPROMPT_ROOT.',
    cause: error,
  });
}
