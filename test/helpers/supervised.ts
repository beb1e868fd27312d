import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { defaultPolicy, type SupervisionPolicy } from '../../src/lib/app/supervisor/policy.ts';
import type { Installation } from '../../src/lib/app/supervisor/run.ts';
import type { ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
import { type ConnectionConfig, type Database, openDatabase } from '../../src/lib/infra/database/connection.ts';
import { quoteIdentifier } from '../../src/lib/infra/database/identifiers.ts';
import { type Session, withSession } from '../../src/lib/infra/database/session.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import type { ConfigIssue } from '../../src/lib/shared/errors.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import type { FixtureService } from './fixture-services.ts';
import { freeBlock } from './free-port.ts';
import { type Footprint, footprint } from './leaks.ts';
import { until } from './until.ts';

/** What a supervisor process of a test is told. */
export interface SupervisorPlan {
  readonly installation: Installation;
  readonly runDir: string;
  readonly socket: string;
  readonly database: ConnectionConfig;
  readonly policy: SupervisionPolicy;
  readonly services: readonly FixtureService[];
  /** Findings that make the configuration invalid. */
  readonly issues?: readonly ConfigIssue[] | undefined;
}

/** The product's numbers, made short where a test would have to wait. */
const quickPolicy: SupervisionPolicy = {
  ...defaultPolicy,
  backoffMinMs: 50,
  backoffMaxMs: 200,
  livenessEveryMs: 100,
  connectionMs: 100,
  readinessEveryMs: 50,
  resourcesEveryMs: 100,
  probeTimeoutMs: 500,
  epochEveryMs: 100,
  adoptedPollMs: 50,
  portWaitMs: 500,
};

/** An installation of a test's own: a database, a folder, a block of ports, and supervisors as real processes. */
export class Supervised {
  readonly ports: readonly [number, number];
  readonly folder: string;
  readonly installation: Installation;
  readonly database: TestDatabase;
  readonly sql: Database;
  readonly #running = new Set<ChildProcess>();
  #policy: SupervisionPolicy = quickPolicy;
  #planFile = '';
  #issues: readonly ConfigIssue[] | undefined;

  private constructor(database: TestDatabase, folder: string, ports: readonly [number, number]) {
    this.database = database;
    this.folder = folder;
    this.ports = ports;
    this.installation = { id: randomUUID(), root: folder, logsDir: join(folder, 'logs'), profile: 'test' };
    this.sql = openDatabase(database.owner, { poolSize: 2 });
    // Tests cut its connections on purpose.
    this.sql.onError(() => {});
    for (const name of ['run', 'logs', 'runtime']) mkdirSync(join(folder, name), { mode: 0o700 });
  }

  static async create(): Promise<Supervised> {
    const database = await createTestDatabase();
    return new Supervised(database, mkdtempSync(join(tmpdir(), 'sp-sup-')), await freeBlock(10));
  }

  get socket(): string {
    return join(this.folder, 'runtime', 'control.sock');
  }
  get gate(): string {
    return join(this.folder, 'gate');
  }
  openGate(): void {
    writeFileSync(this.gate, '');
  }
  policy(changes: Partial<SupervisionPolicy>): void {
    this.#policy = { ...this.#policy, ...changes };
  }
  /** The nth port of the block. */
  port(index: number): number {
    return this.ports[0] + index;
  }

  /** Starts a supervisor as a process and connects to it. */
  async start(
    services: readonly FixtureService[],
    under: readonly string[] = [],
  ): Promise<{ process: ChildProcess; client: SupervisorClient }> {
    const child = this.spawn(services, under);
    const client = await until('the control socket answers', () => {
      if (child.exitCode !== null) throw new Error(`the supervisor ended:\n${this.log()}`);
      return SupervisorClient.connect(this.socket).catch(() => undefined);
    });
    return { process: child, client };
  }

  /**
   * Changes the configuration, as an editor would: the supervisor that was started last finds it when it looks again.
   * @param issues findings that make it invalid, also for supervisors that are started from now on
   */
  configure(services: readonly FixtureService[], issues?: readonly ConfigIssue[]): void {
    this.#issues = issues;
    if (this.#planFile === '') return;
    const plan: SupervisorPlan = {
      installation: this.installation,
      runDir: join(this.folder, 'run'),
      socket: this.socket,
      database: this.database.owner,
      policy: this.#policy,
      services,
      issues,
    };
    writeFileSync(this.#planFile, JSON.stringify(plan));
  }

  /** @param under a command line that runs the supervisor's, such as unshare(1) */
  spawn(services: readonly FixtureService[], under: readonly string[] = []): ChildProcess {
    const file = join(this.folder, `plan-${randomUUID()}.json`);
    this.#planFile = file;
    this.configure(services, this.#issues);
    const [command = '', ...args] = [...under, process.execPath, inject('supervisorProgram'), file];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => writeFileSync(this.#logFile, text, { flag: 'a' }));
    this.#running.add(child);
    return child;
  }

  get #logFile(): string {
    return join(this.folder, 'supervisor.log');
  }

  /** What the supervisors wrote. */
  log(): string {
    return readFileSync(this.#logFile, { encoding: 'utf8', flag: 'a+' });
  }

  /** Waits until a service is as wanted. */
  async state(
    client: SupervisorClient,
    name: string,
    wanted: (status: ServiceStatus) => boolean,
    ms?: number,
  ): Promise<ServiceStatus> {
    return until(
      `${name} as wanted`,
      async () => (await client.status()).services.find((service) => service.name === name && wanted(service)),
      ms,
    );
  }

  /** Kills a supervisor as an accident would. */
  async kill(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.#running.delete(child);
  }

  async stop(client: SupervisorClient): Promise<void> {
    await client.shutdown();
    client.close();
    await this.ended();
  }

  /** Waits until no supervisor runs. */
  async ended(): Promise<void> {
    await Promise.all(
      [...this.#running].map((child) =>
        child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined,
      ),
    );
    this.#running.clear();
  }

  /** Takes the database away from everybody: no connection is let in, those that are open are cut. */
  async cutDatabase(): Promise<void> {
    await this.#asAdmin(async (session) => {
      await session.query(`ALTER DATABASE ${quoteIdentifier(this.database.name)} WITH ALLOW_CONNECTIONS false`);
      await session.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
        this.database.name,
      ]);
    });
  }

  async restoreDatabase(): Promise<void> {
    await this.#asAdmin(async (session) => {
      await session.query(`ALTER DATABASE ${quoteIdentifier(this.database.name)} WITH ALLOW_CONNECTIONS true`);
    });
  }

  #asAdmin(work: (session: Session) => Promise<void>): Promise<void> {
    return withSession({ ...this.database.admin, database: 'postgres' }, {}, work);
  }

  /** What of it is still in the system. */
  footprint(): Promise<Footprint> {
    const { id } = this.installation;
    return footprint({
      installationId: id,
      ports: this.ports,
      runtimeDir: join(this.folder, 'runtime'),
      dir: this.folder,
    });
  }

  /** Removes everything, also after a test that failed half-way. */
  async remove(): Promise<void> {
    for (const child of this.#running) if (child.exitCode === null && child.signalCode === null) await this.kill(child);
    for (const { identity } of await markedProcesses(this.installation.id)) process.kill(identity.pid, 'SIGKILL');
    await this.sql.close();
    await this.database.drop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
