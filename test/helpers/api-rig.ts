import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { migrateInstance } from '../../src/lib/app/database-admin.ts';
import { type Identity, mcpAudience, openIdentity } from '../../src/lib/app/identity.ts';
import { resourceServers } from '../../src/lib/app/resources.ts';
import { apiNodeArguments } from '../../src/lib/app/supervisor/specs.ts';
import { loadProfile, type Profile } from '../../src/lib/infra/config/profile.ts';
import { type Database, openDatabase } from '../../src/lib/infra/database/connection.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { EmbeddedFixture } from './embedded.ts';
import { freePort } from './free-port.ts';
import { createPreparedInstance } from './prepared-cluster.ts';
import { until } from './until.ts';

const project = join(import.meta.dirname, '../..');

/**
 * An instance of its own with the embedded database as it runs in production, API processes of the built program, and
 * rows in `services` that say where servers are: everything of the way of a call but the supervisor.
 */
export class ApiRig {
  readonly embedded: EmbeddedFixture;
  readonly profile: Profile;
  /** As the owner. */
  readonly database: Database;
  readonly identity: Identity;
  readonly port: number;
  readonly logFile: string;
  #postgres: ChildProcess;
  readonly #processes = new Set<ChildProcess>();
  readonly #app: Database;

  private constructor(parts: {
    embedded: EmbeddedFixture;
    profile: Profile;
    database: Database;
    app: Database;
    identity: Identity;
    port: number;
    postgres: ChildProcess;
  }) {
    this.embedded = parts.embedded;
    this.profile = parts.profile;
    this.database = parts.database;
    this.#app = parts.app;
    this.identity = parts.identity;
    this.port = parts.port;
    this.#postgres = parts.postgres;
    this.logFile = join(parts.embedded.instance.logsDir, 'api.log');
  }

  /**
   * @param servers names of MCP servers, each open to the scope `user`
   * @param createInstance makes the instance; outside of a test run there is no prepared cluster to copy
   */
  static async create(servers: readonly string[], createInstance = createPreparedInstance): Promise<ApiRig> {
    const embedded = await EmbeddedFixture.create({ createInstance });
    const { instance, secrets } = embedded;
    const port = await freePort();
    const profileFile = join(instance.dir, 'profiles', 'local', 'profile.yaml');
    await writeFile(profileFile, (await readFile(profileFile, 'utf8')).replace('port: 8080', `port: ${port}`));
    await mkdir(join(instance.root, 'services', 'mcp'), { recursive: true });
    await mkdir(instance.logsDir, { recursive: true });
    await writeFile(
      join(instance.root, 'services', 'mcp', 'servers.yaml'),
      `mcp_servers:\n${servers.map((name, index) => `  ${name}: { module: x, port: ${5_100 + index}, description: test, oauth: { scopes: [user] } }\n`).join('')}`,
    );
    const profile = await loadProfile(instance, 'local', {});
    const { child: postgres } = await embedded.start();
    await migrateInstance(instance, profile, secrets);
    const database = openDatabase(await connectionFor(instance, profile, secrets, 'owner'), { poolSize: 2 });
    const app = openDatabase(await connectionFor(instance, profile, secrets, 'app'), { poolSize: 4, actor: 'system' });
    // Tests take the database away on purpose.
    for (const each of [database, app]) each.onError(() => {});
    const identity = await openIdentity({
      database: app,
      secrets,
      profile,
      resources: resourceServers([], { externalUrl: profile.server.external_url, maxTtlSeconds: 3600 }),
    });
    return new ApiRig({ embedded, profile, database, app, identity, port, postgres });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  endpoint(server: string): string {
    return `${this.url}/api/v1/mcp/${server}/mcp`;
  }

  /** Says where a server listens, as the supervisor would. */
  async announce(server: string, port: number): Promise<void> {
    await this.database.query(
      `INSERT INTO services (installation_id, name, kind, desired, state, generation, instance_id, port, epoch)
       VALUES ($1, $2, 'mcp', 'running', 'ready', 1, $3, $4, 1)`,
      [this.embedded.instance.id, `mcp:${server}`, randomUUID(), port],
    );
    await this.database.query("SELECT pg_notify('services', '')");
  }

  /** A token of the local owner for one server. */
  async token(server: string): Promise<string> {
    const user = await this.identity.users.ensureOwner();
    const session = await this.identity.sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 3_600 });
    const { token } = await this.identity.issuer.issue({
      user,
      sessionId: session.id,
      audience: mcpAudience(this.profile.server.external_url, server),
      scopes: ['user'],
      ttlSeconds: 3_600,
      client: 'test',
    });
    return token;
  }

  /** Starts an API process and waits until it takes calls. */
  async startApi(nodeArgs: readonly string[] = []): Promise<{ child: ChildProcess; instance: string }> {
    const instance = randomUUID();
    const log = openSync(this.logFile, 'a');
    const main = join(project, 'dist/entry/api/main.js');
    const child = spawn(process.execPath, [...apiNodeArguments, ...nodeArgs, main], {
      cwd: this.embedded.instance.root,
      env: {
        PATH: process.env['PATH'] ?? '',
        SYSTEMPROMPT_ROOT: this.embedded.instance.root,
        SYSTEMPROMPT_PROFILE: 'local',
        SYSTEMPROMPT_INSTANCE: this.embedded.instance.id,
        SYSTEMPROMPT_SERVICE: 'api',
        SYSTEMPROMPT_SERVICE_INSTANCE: instance,
        SYSTEMPROMPT_LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', log, log],
    });
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
    await until(
      'the API is ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`the API ended:\n${readFileSync(this.logFile, 'utf8')}`);
        const response = await fetch(`${this.url}/readyz`).catch(() => undefined);
        await response?.body?.cancel();
        return response?.status === 200;
      },
      20_000,
    );
    return { child, instance };
  }

  async kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Ends the database as a crash would: the postmaster and all of its processes at once. */
  async crashPostgres(): Promise<void> {
    const postgres = this.#postgres;
    const children = readFileSync(`/proc/${postgres.pid}/task/${postgres.pid}/children`, 'utf8').trim().split(' ');
    const ended = once(postgres, 'exit');
    postgres.kill('SIGKILL');
    for (const pid of children) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await ended;
  }

  async restartPostgres(): Promise<void> {
    this.#postgres = (await this.embedded.start()).child;
  }

  async remove(): Promise<void> {
    for (const child of this.#processes) await this.kill(child);
    await this.identity.close();
    await Promise.all([this.database.close(), this.#app.close()]);
    await this.embedded.remove();
  }
}
