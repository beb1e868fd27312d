import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { openSecretStore, type SecretStore } from '../../src/lib/infra/config/secrets.ts';
import { type EmbeddedPostgres, embeddedPostgres } from '../../src/lib/infra/process/postgres.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { ProbeConnection } from '../../src/lib/infra/process/probe-connection.ts';
import { newId, type ServiceInstanceId } from '../../src/lib/shared/ids.ts';

/** An instance of its own, whose database can be started as the supervisor would. */
export class EmbeddedFixture {
  readonly instance: Instance;
  readonly secrets: SecretStore;
  readonly service: EmbeddedPostgres;
  readonly #running: ChildProcess[] = [];

  private constructor(instance: Instance, secrets: SecretStore, service: EmbeddedPostgres) {
    this.instance = instance;
    this.secrets = secrets;
    this.service = service;
  }

  static async create({ createInstance = createLocalInstance } = {}): Promise<EmbeddedFixture> {
    const instance = await createInstance(await mkdtemp(join(tmpdir(), 'sp-instance-')));
    const secrets = await openSecretStore(instance);
    return new EmbeddedFixture(instance, secrets, await embeddedPostgres(instance, secrets));
  }

  /** Prepares, spawns and waits until the probe says ready. */
  async start(
    port?: number,
  ): Promise<{ child: ChildProcess; pid: number; detail: string | undefined; stderr(): string }> {
    const { service } = this;
    await service.prepare?.(AbortSignal.timeout(30_000));
    const instanceId = newId<ServiceInstanceId>();
    const command = await service.command({ instanceId, port });
    const child = spawn(command.file, command.args, {
      cwd: command.cwd,
      env: command.env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
    });
    this.#running.push(child);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    const pid = child.pid ?? 0;
    const signal = AbortSignal.timeout(20_000);
    const connection = new ProbeConnection();
    for (;;) {
      const result = await service.probe({ instanceId, pid, port, signal, timeoutMs: 20_000, connection });
      if (result.ready) return { child, pid, detail: result.detail, stderr: () => stderr };
      if (child.exitCode !== null || signal.aborted) throw new Error(`not ready: ${result.reason}\n${stderr}`);
      await delay(20);
    }
  }

  async stop(child: ChildProcess, how: NodeJS.Signals = this.service.stop.signal): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(how);
    await ended;
  }

  /** Ends what runs and removes everything of the instance. */
  async remove(): Promise<void> {
    for (const child of this.#running) await this.stop(child);
    for (const path of [this.instance.root, this.instance.runtimeDir, rootInstanceDir(this.instance.id)]) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
