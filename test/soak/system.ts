import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import type { InstanceStatus, ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { loadProfile } from '../../src/lib/infra/config/profile.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { type Database, openDatabase } from '../../src/lib/infra/database/connection.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { hasCode } from '../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { environmentOf, linuxPids } from '../../src/lib/infra/process/table.ts';
import { type CliRun, startCli } from '../helpers/cli.ts';
import { freeBlock } from '../helpers/free-port.ts';
import { type Footprint, footprint } from '../helpers/leaks.ts';
import { until } from '../helpers/until.ts';

/** The MCP servers that are called. */
export const servers = ['alpha', 'beta'] as const;
export type ServerName = (typeof servers)[number];

const cliLimitMs = 120_000;
const statusLimitMs = 4_000;
const footprintLimitMs = 4_000;

/** The product on an instance of its own, driven from outside only: by the CLI, the control socket and signals. */
export class SoakSystem {
  readonly instance: Instance;
  readonly ports: readonly [number, number];
  /** What the servers ran, one call a line. */
  readonly journal: string;
  readonly #clis = new Set<ReturnType<typeof startCli>>();

  private constructor(instance: Instance, ports: readonly [number, number]) {
    this.instance = instance;
    this.ports = ports;
    this.journal = join(instance.root, 'executed');
  }

  /** Makes the instance and its configuration; nothing runs yet. */
  static async create({ workers = 1, createInstance = createLocalInstance } = {}): Promise<SoakSystem> {
    const root = await mkdtemp(join(tmpdir(), 'systemprompt-soak-'));
    const instance = await createInstance(root);
    const ports = await freeBlock(12);
    const system = new SoakSystem({ ...instance, servicesDir: join(root, 'services') }, ports);
    const profile = join(instance.dir, 'profiles', 'local', 'profile.yaml');
    const text = (await readFile(profile, 'utf8')).replace('port: 8080', `port: ${ports[0]}\n  workers: ${workers}`);
    await writeFile(profile, `${text}\nports:\n  mcp: [${ports[0] + 1}, ${ports[1]}]\n`);
    await mkdir(join(root, 'services', 'mcp'), { recursive: true });
    const module = fileURLToPath(new URL('server.mjs', import.meta.url));
    const one = (name: string, index: number) =>
      `  ${name}:\n    module: ${module}\n    port: ${ports[0] + 1 + index}\n    description: For the soak\n` +
      `    oauth: { required: true, scopes: [user] }\n    env: { SOAK_JOURNAL: ${system.journal} }\n`;
    await writeFile(join(root, 'services', 'mcp', 'soak.yaml'), `mcp_servers:\n${servers.map(one).join('')}`);
    await writeFile(system.journal, '');
    return system;
  }

  get url(): string {
    return `http://localhost:${this.ports[0]}`;
  }
  endpoint(server: ServerName): string {
    return `${this.url}/api/v1/mcp/${server}/mcp`;
  }

  /** Runs the CLI; one that does not come to its end is killed, and has no exit code. */
  async cli(...argv: string[]): Promise<CliRun> {
    const child = startCli(argv, { cwd: this.instance.root });
    this.#clis.add(child);
    const limit = setTimeout(() => child.kill('SIGKILL'), cliLimitMs);
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
      });
    try {
      await new Promise<void>((resolve, reject) => child.once('close', () => resolve()).once('error', reject));
    } finally {
      clearTimeout(limit);
      this.#clis.delete(child);
    }
    return { code: child.exitCode, ...texts };
  }

  /** What the supervisor says; `undefined` when none answers. */
  async status(): Promise<InstanceStatus | undefined> {
    const ask = async (): Promise<InstanceStatus | undefined> => {
      const client = await SupervisorClient.connect(this.instance.controlSocket);
      try {
        return await client.status();
      } finally {
        client.close();
      }
    };
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, statusLimitMs, undefined).unref());
    return Promise.race([ask().catch(() => undefined), late]);
  }

  async service(name: string): Promise<ServiceStatus | undefined> {
    return (await this.status())?.services.find((service) => service.name === name);
  }

  /** A token for one server, good for an hour. @throws while the system is in no state to give one */
  async token(server: ServerName): Promise<string> {
    const { code, stdout, stderr } = await this.cli('admin', 'session', 'login', '--server', server, '--token-only');
    if (code !== 0) throw new Error(`no token: ${stderr}`);
    return stdout.trim();
  }

  /** A connection as the owner of the database. */
  async openDatabase(): Promise<Database> {
    const profile = await loadProfile(this.instance, 'local', {});
    const owner = await connectionFor(this.instance, profile, await openSecretStore(this.instance), 'owner');
    const database = openDatabase(owner, { poolSize: 1 });
    database.onError(() => {}); // told by the query that fails
    return database;
  }

  /** Pids of living supervisors of this instance. */
  async supervisors(): Promise<number[]> {
    const found: number[] = [];
    for (const pid of linuxPids()) {
      if (!(commandLine(pid)?.includes('/entry/supervisor/main.js') ?? false)) continue;
      const env = await environmentOf(pid);
      if (env instanceof Map && env.get('SYSTEMPROMPT_ROOT') === this.instance.root) found.push(pid);
    }
    return found;
  }

  /** Memory of all processes of the API that live now. */
  async residentBytes(): Promise<number> {
    let bytes = 0;
    for (const { identity, service } of await markedProcesses(this.instance.id)) {
      if (service.split(':')[0] === 'api') bytes += residentBytesOf(identity.pid);
    }
    return bytes;
  }

  /** What is left in the system, given a few seconds: the supervisor's last act is to let go of its socket. */
  async footprint(): Promise<Footprint> {
    const { id, runtimeDir, dir } = this.instance;
    const look = () => footprint({ installationId: id, ports: this.ports, runtimeDir, dir });
    const nothing = async () => Object.values(await look()).every((found) => found.length === 0);
    await until('nothing is left', nothing, footprintLimitMs).catch(() => undefined); // what is left is told
    return look();
  }

  /** Ends whatever is left of it, by pid. */
  async kill(): Promise<void> {
    for (const child of this.#clis) child.kill('SIGKILL');
    // Supervisors first: they would start again what is killed.
    for (const pid of await this.supervisors()) killed(pid);
    for (const { identity } of await markedProcesses(this.instance.id)) killed(identity.pid);
  }

  async remove(): Promise<void> {
    const { root, runtimeDir, id } = this.instance;
    for (const path of [root, runtimeDir, rootInstanceDir(id)])
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Sends a signal; whether somebody was there to get it. */
export function signal(pid: number | undefined, name: NodeJS.Signals): boolean {
  if (pid === undefined || pid <= 1) return false;
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

const killed = (pid: number): boolean => signal(pid, 'SIGKILL');

function commandLine(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return undefined; // it has ended
  }
}

/** `/proc/<pid>/status`: VmRSS in kB. */
function residentBytesOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0; // it has ended
  }
}
