import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Instance } from '../../infra/config/instance.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { profileFile } from '../../infra/config/profile.ts';

/** A file or folder that the system reads or writes. */
export interface ConfigPlace {
  readonly name: string;
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'socket';
  readonly exists: boolean;
  /** Why it can't be used as it is; undefined when it can, or when it comes into being by itself. */
  readonly fault: string | undefined;
}

interface Wanted {
  readonly kind: ConfigPlace['kind'];
  readonly path: string;
  /** Whether the system can't do without it. */
  readonly required?: boolean;
  /** Whether it is written to. */
  readonly written?: boolean;
  /** Whether others must not see into it. */
  readonly owned?: boolean;
}

/** Where everything of an instance lies, and whether it is there and can be used. */
export async function configPlaces(instance: Instance, profileName: string): Promise<ConfigPlace[]> {
  const { root, projectDir, dir, servicesDir, runDir, logsDir, dataDir, controlSocket } = instance;
  const places: Record<string, Wanted> = {
    project: { kind: 'folder', path: root, required: true },
    'project state': { kind: 'folder', path: projectDir, required: true, written: true, owned: true },
    profile: { kind: 'file', path: profileFile(instance, profileName), required: true, owned: true },
    services: { kind: 'folder', path: servicesDir, required: true },
    'tenant state': { kind: 'folder', path: dir, required: true, written: true, owned: true },
    secrets: { kind: 'file', path: join(dir, 'secrets.json'), required: true, written: true, owned: true },
    run: { kind: 'folder', path: runDir, written: true, owned: true },
    logs: { kind: 'folder', path: logsDir, written: true, owned: true },
    data: { kind: 'folder', path: dataDir, written: true },
    'control socket': { kind: 'socket', path: controlSocket, owned: true },
    schemas: { kind: 'folder', path: join(packageRoot(), 'schemas') },
  };
  return await Promise.all(Object.entries(places).map(([name, wanted]) => placed(name, wanted)));
}

async function placed(name: string, wanted: Wanted): Promise<ConfigPlace> {
  const { kind, path } = wanted;
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown');
  if (typeof stats === 'string') {
    const absent = stats === 'ENOENT' || stats === 'ENOTDIR';
    const fault = absent ? (wanted.required === true ? 'is not there' : undefined) : `can't be looked at (${stats})`;
    return { name, kind, path, exists: !absent, fault };
  }
  return { name, kind, path, exists: true, fault: await faultOf(wanted, stats) };
}

async function faultOf({ kind, path, owned, written }: Wanted, stats: Stats): Promise<string | undefined> {
  const is = { file: stats.isFile(), folder: stats.isDirectory(), socket: stats.isSocket() };
  if (!is[kind]) return `is no ${kind}`;
  if (owned === true && (stats.mode & 0o077) !== 0)
    return `is open to others (mode ${(stats.mode & 0o777).toString(8)})`;
  const usable = await access(path, written === true ? constants.R_OK | constants.W_OK : constants.R_OK).then(
    () => true,
    () => false,
  );
  return usable ? undefined : `can't be ${written === true ? 'read and written' : 'read'}`;
}
