import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, chmod, chown, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import type { Instance } from '../config/instance.ts';
import { shellQuote } from '../config/permissions.ts';
import { ensureRuntimeDir } from '../config/runtime-dir.ts';
import { type Account, accountHome, ensureAccount } from './postgres-account.ts';
import { copyBinaries, type PostgresPackage, runsInPlace } from './postgres-binaries.ts';
import { checkVersion } from './postgres-cluster.ts';
import { recordOwner } from './postgres-owner.ts';
import type { PostgresState } from './postgres-state.ts';

/** What of an instance is needed to place its database. */
export type PostgresHome = Pick<Instance, 'id' | 'dir' | 'dataDir' | 'runDir' | 'runtimeDir'>;

/** Where the parts of an embedded PostgreSQL lie, and as whom it runs. */
export interface PostgresPlace {
  readonly binaries: string;
  readonly dataDir: string;
  readonly socketDir: string;
  /** Absent when it runs as whoever starts it. */
  readonly account: Account | undefined;
  /** Whether there is a cluster already. */
  readonly exists: boolean;
}

/**
 * Where things go when root starts us: PostgreSQL runs as an account of its own then, and that must be able to reach
 * binaries, data and socket, which under root's home it can't.
 */
const rootHome = accountHome;

/** What root's instances keep outside of their projects, a folder each. */
export const rootInstancesDir = join(rootHome, 'instances');

/** Folder of one instance below the root home. */
export function rootInstanceDir(instanceId: string): string {
  return join(rootInstancesDir, createHash('sha256').update(instanceId).digest('hex').slice(0, 12));
}

/**
 * Finds or makes the folders, the account and the binaries.
 * @param recorded what the last start wrote down
 * @throws PreconditionError when the data is gone, belongs to another user or another major version
 */
export async function preparePlace(
  home: PostgresHome,
  pkg: PostgresPackage,
  recorded: PostgresState | undefined,
): Promise<PostgresPlace> {
  const place = process.getuid?.() === 0 ? await placeForRoot(home, pkg) : await placeForUser(home, pkg);
  if (!place.exists && recorded !== undefined) {
    throw new PreconditionError(`The data of this instance's database is gone: there is none in ${recorded.dataDir}.`, {
      hint: `Bring the folder back from a backup; or, to begin with an empty database, remove ${join(home.runDir, 'postgres.json')}.`,
      data: { dataDir: recorded.dataDir },
    });
  }
  return place;
}

async function placeForUser(home: PostgresHome, pkg: PostgresPackage): Promise<PostgresPlace> {
  const dataDir = join(home.dataDir, 'postgres');
  const exists = await checkVersion(dataDir);
  if (!exists && existsSync(rootInstanceDir(home.id))) {
    throw new PreconditionError('The database of this instance was made by root and belongs to another account.', {
      hint: `Start as root again, as before; its data is in ${rootInstanceDir(home.id)}.`,
    });
  }
  const binaries = (await runsInPlace(pkg)) ? pkg.native : await copyBinaries(pkg, await cacheFolder(home));
  return { binaries, dataDir, socketDir: await ensureRuntimeDir(home), account: undefined, exists };
}

/** The user's cache (XDG Base Directory Specification), or the instance's folder for users without a home. */
async function cacheFolder(home: PostgresHome): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME?.startsWith('/') ? process.env.XDG_CACHE_HOME : join(homedir(), '.cache');
  const folder = join(cache, 'systemprompt');
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, 2);
    return folder;
  } catch {
    return join(home.dir, 'cache'); // not writable: any reason is reason enough
  }
}

async function placeForRoot(home: PostgresHome, pkg: PostgresPackage): Promise<PostgresPlace> {
  const account = await ensureAccount();
  const folder = rootInstanceDir(home.id);
  for (const dir of [rootHome, rootInstancesDir]) await makeFolder(dir, 0o755, undefined);
  // Root's own: the account may go through it, not put a link into it that root would follow when it sets rights below.
  await makeFolder(folder, 0o711, { uid: 0, gid: 0 });
  await recordOwner(folder, home);
  const socketDir = join(folder, 'socket');
  await makeFolder(socketDir, 0o700, account);
  const dataDir = join(folder, 'data');
  const exists = await checkVersion(dataDir);
  const usersOwn = join(home.dataDir, 'postgres');
  if (!exists && (await checkVersion(usersOwn))) {
    throw new PreconditionError("The database of this instance was made by an ordinary user, and root can't run it.", {
      hint: `Start as that user, or hand it over: mv ${shellQuote(usersOwn)} ${dataDir} && chown -R ${account.name}: ${dataDir}`,
      data: { dataDir: usersOwn },
    });
  }
  return { binaries: await copyBinaries(pkg, rootHome), dataDir, socketDir, account, exists };
}

/** Mode and owner hold whatever the umask is and whoever made the folder. */
async function makeFolder(dir: string, mode: number, account: Pick<Account, 'uid' | 'gid'> | undefined): Promise<void> {
  await mkdir(dir, { recursive: true, mode });
  await chmod(dir, mode);
  if (account !== undefined) await chown(dir, account.uid, account.gid);
}
