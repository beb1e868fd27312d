import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';

/** What an installation has in the system: nothing, once everything of it has been stopped. */
export interface Footprint {
  /** `pid service` of every process that carries its marker. */
  readonly processes: readonly string[];
  /** Ports of its range that somebody listens on. */
  readonly ports: readonly number[];
  /** Sockets that are bound in its runtime folder. */
  readonly sockets: readonly string[];
  /** Files that should not be there: halves of atomic writes. */
  readonly files: readonly string[];
}

export const noFootprint: Footprint = { processes: [], ports: [], sockets: [], files: [] };

/** Looks at everything that the supervisor and its services could leave behind (Linux). */
export async function footprint(of: {
  readonly installationId: string;
  readonly ports: readonly [number, number];
  readonly runtimeDir: string;
  readonly dir: string;
}): Promise<Footprint> {
  const marked = await markedProcesses(of.installationId);
  return {
    processes: marked.map(({ identity, service }) => `${identity.pid} ${service}`),
    ports: listening().filter((port) => port >= of.ports[0] && port <= of.ports[1]),
    sockets: boundSockets(of.runtimeDir),
    files: leftovers(of.dir),
  };
}

function listening(): number[] {
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(1));
  const ports = lines.flatMap((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return state === '0A' && local !== undefined ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
  });
  return [...new Set(ports)];
}

function boundSockets(folder: string): string[] {
  const table = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return table.flatMap((line) => {
    const path = line.trim().split(/\s+/)[7];
    return path?.startsWith(folder) === true ? [path] : [];
  });
}

function leftovers(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.tmp'))
    .map((entry) => join(entry.parentPath, entry.name));
}
