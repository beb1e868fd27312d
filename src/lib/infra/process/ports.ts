import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { hasCode } from './identity.ts';
import { commandOf, linuxPids } from './table.ts';

const run = promisify(execFile);

/** Who listens on a port. `pid` is absent when another user's process holds it and we may not look. */
export interface PortHolder {
  readonly port: number;
  readonly pid?: number;
  readonly command?: string;
  /** Id of the user who listens, when that alone is known. */
  readonly uid?: number;
}

/** Whether a server of ours could listen on the port: on 127.0.0.1, and on ::1 where the machine has it. */
export async function isPortFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::1']) {
    if (!(await canBind(host, port))) return false;
  }
  return true;
}

function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (hasCode(error, 'EADDRINUSE', 'EACCES')) resolve(false);
      // No IPv6 on this machine: nothing to be held there.
      else if (hasCode(error, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) resolve(true);
      else reject(error);
    });
    server.listen({ host, port, exclusive: true, ipv6Only: host === '::1' }, () => server.close(() => resolve(true)));
  });
}

/** The first free port of a range (both ends included) that is not among `except`. */
export async function freePort(
  range: readonly [number, number],
  except: ReadonlySet<number> = new Set(),
): Promise<number | undefined> {
  for (let port = range[0]; port <= range[1]; port += 1) {
    if (!except.has(port) && (await isPortFree(port))) return port;
  }
  return undefined;
}

/** A port of 127.0.0.1 on which nobody listens, of those that the system gives out. */
export async function unusedPort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Who listens on the TCP port, on any address; `undefined` when nobody does. */
export async function holderOf(port: number): Promise<PortHolder | undefined> {
  const all = await holdersOf(port);
  return all.find(({ pid }) => pid !== undefined) ?? all.find(({ uid }) => uid !== process.getuid?.()) ?? all[0];
}

/**
 * Who listens on the TCP port, each process and each user whose processes can't be seen once: several may by SO_REUSEPORT.
 * @param loopback only who would also be reached by a loopback address
 */
export async function holdersOf(port: number, loopback = false): Promise<readonly PortHolder[]> {
  if (process.platform !== 'linux') {
    const found = await lsof(port);
    return found === undefined ? [] : [found];
  }
  const owners = listeningSockets(port, loopback);
  if (owners.size === 0) return [];
  const holders: PortHolder[] = [];
  for (const pid of linuxPids()) {
    const held = heldSockets(pid, owners);
    if (held.length === 0) continue;
    for (const inode of held) owners.delete(inode);
    const command = await commandOf(pid);
    holders.push(command === undefined ? { port, pid } : { port, pid, command });
  }
  for (const uid of new Set(owners.values())) holders.push({ port, uid });
  return holders;
}

/** Local addresses as `/proc/net/tcp` prints them (words in host order): any and loopback, of IPv4, IPv6 and the mapped ones. */
const loopbackForms: ReadonlySet<string> = new Set([
  '00000000',
  '0100007F',
  '00000000000000000000000000000000',
  '00000000000000000000000001000000',
  '0000000000000000FFFF000000000000',
  '0000000000000000FFFF00000100007F',
]);

/** The sockets that listen on a port, inode to user (`/proc/net/tcp`, proc_pid_net(5): local address, st 0A = LISTEN, uid, inode). */
function listeningSockets(port: number, loopback: boolean): Map<string, number> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const owners = new Map<string, number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readTable(file)) {
      const fields = line.trim().split(/\s+/);
      const [address = '', bound] = fields[1]?.split(':') ?? [];
      if (fields[3] !== '0A' || bound !== wanted || fields[9] === undefined) continue;
      if (loopback && !loopbackForms.has(address)) continue;
      owners.set(fields[9], Number(fields[7]));
    }
  }
  return owners;
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch (error) {
    // A kernel without IPv6 has no tcp6 table.
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function heldSockets(pid: number, inodes: ReadonlyMap<string, number>): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const found = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`));
      return found?.[1] !== undefined && inodes.has(found[1]) ? [found[1]] : [];
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return [];
    throw error;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    // Closed between the listing and the look.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return '';
    throw error;
  }
}

async function lsof(port: number): Promise<PortHolder | undefined> {
  try {
    const { stdout } = await run('lsof', ['-nP', '-t', `-iTCP:${port}`, '-sTCP:LISTEN']);
    const pid = Number(stdout.split('\n')[0]);
    if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
    const command = await commandOf(pid);
    return command === undefined ? { port, pid } : { port, pid, command };
  } catch (error) {
    // lsof exits 1 when it finds nothing.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}
