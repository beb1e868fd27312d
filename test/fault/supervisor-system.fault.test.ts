import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import type { ServiceStatus, SupervisorEvent } from '../../src/lib/app/supervisor/status.ts';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { identify, isAlive } from '../../src/lib/infra/process/identity.ts';
import { launchSupervisor, readSupervisorFile } from '../../src/lib/infra/process/launch.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { freePort } from '../helpers/free-port.ts';
import { footprint, noFootprint } from '../helpers/leaks.ts';
import { until } from '../helpers/until.ts';

// The built supervisor with its real services: embedded PostgreSQL, the API, an MCP server.

let instance: Instance;
let port: number;
beforeEach(async () => {
  instance = await createLocalInstance(mkdtempSync(join(tmpdir(), 'sp-system-')));
  port = await freePort();
});
afterEach(async () => {
  const left = readSupervisorFile(instance);
  if (left !== undefined && (await identify(left.pid)) !== undefined && left.state !== 'stopped') {
    await SupervisorClient.connect(instance.controlSocket).then(
      (client) => client.shutdown(true),
      () => undefined, // it did not get as far as a socket
    );
  }
  for (const { identity } of await markedProcesses(instance.id)) process.kill(identity.pid, 'SIGKILL');
  for (const path of [instance.root, instance.runtimeDir, rootInstanceDir(instance.id)])
    rmSync(path, { recursive: true, force: true });
});

async function launch(): Promise<SupervisorClient> {
  await launchSupervisor(instance, 'local', { ...process.env, SYSTEMPROMPT_SERVER_PORT: String(port) });
  return SupervisorClient.connect(instance.controlSocket);
}

/** Waits for the end of the boot. */
async function booted(client: SupervisorClient): Promise<SupervisorEvent> {
  for await (const event of client.events()) if (event.type === 'ready' || event.type === 'boot_failed') return event;
  throw new Error('the supervisor ended without a word');
}

async function service(
  client: SupervisorClient,
  name: string,
  wanted: (status: ServiceStatus) => boolean,
): Promise<ServiceStatus> {
  return until(
    `${name} as wanted`,
    async () => (await client.status()).services.find((status) => status.name === name && wanted(status)),
    30_000,
  );
}

function leaks() {
  return footprint({
    installationId: instance.id,
    ports: [port, port],
    runtimeDir: instance.runtimeDir,
    dir: instance.dir,
  });
}

describe('the whole system', () => {
  it('starts, survives the SIGKILL of its supervisor and of its database, and stops without a trace', async () => {
    const first = await launch();
    expect(await booted(first)).toMatchObject({ type: 'ready', failed: [] });
    const before = await first.status();
    expect(before.services.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'database ready',
      'api ready',
      'mcp:systemprompt ready',
    ]);
    await until(
      'it has given back what the boot needed',
      async () => (await first.status()).supervisor.rss < 90_000_000,
      // How soon is the collector's affair, and that of a busy machine.
      60_000,
    ).catch((error: Error) => {
      const memory = readFileSync(`/proc/${before.supervisor.pid}/status`, 'utf8').match(/^(VmHWM|Rss\w+):.*/gm);
      throw new Error(`${error.message} (${memory?.join(', ')})`);
    });
    const identity = await identify(before.supervisor.pid);
    process.kill(before.supervisor.pid, 'SIGKILL');
    await until('it is dead', async () => identity !== undefined && !(await isAlive(identity)));
    first.close();
    // As a supervisor leaves it that is killed in the midst of writing.
    writeFileSync(join(instance.runDir, `.supervisor.json.${randomUUID()}.tmp`), '{"pid":');
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);

    const second = await launch();
    expect(await booted(second)).toMatchObject({ type: 'ready', failed: [] });
    const after = await second.status();
    expect(after.services.map(({ instanceId, adopted }) => ({ instanceId, adopted }))).toEqual(
      before.services.map(({ instanceId }) => ({ instanceId, adopted: true })),
    );

    const database = after.services[0];
    process.kill(database?.pid ?? 0, 'SIGKILL');
    await service(second, 'database', ({ state, generation }) => state === 'ready' && generation === 2);
    await until('the epoch is confirmed again', async () => (await second.status()).supervisor.acting);
    // The others were left alone meanwhile.
    expect((await second.status()).services.slice(1).map(({ instanceId }) => instanceId)).toEqual(
      after.services.slice(1).map(({ instanceId }) => instanceId),
    );

    await second.shutdown();
    await until('it is gone', async () => readSupervisorFile(instance)?.state === 'stopped');
    await until('nothing is left', async () => (await leaks()).sockets.length === 0);
    expect(await leaks()).toEqual(noFootprint);
  });

  it('starts nothing on broken configuration, and tells every finding to who waits', async () => {
    mkdirSync(join(instance.root, 'services', 'mcp'), { recursive: true });
    writeFileSync(join(instance.root, 'services', 'mcp', 'a.yaml'), 'mcp_servers:\n  a:\n    port: eighty\n');
    writeFileSync(join(instance.root, 'services', 'mcp', 'b.yaml'), 'mcp_servers:\n  b: {port: 5001, colour: red}\n');
    instance = { ...instance, servicesDir: join(instance.root, 'services') };
    const told = await launch().then(booted, (error: unknown) => ({ type: 'boot_failed', error }));
    expect(told).toMatchObject({ type: 'boot_failed', error: { code: 'CONFIG_INVALID' } });
    const { message } = (told as { error: { message: string } }).error;
    expect(message).toMatch(/a\.yaml:3:11/);
    expect(message).toMatch(/b\.yaml:2:/);
    await until('it has ended', async () => (await identify(readSupervisorFile(instance)?.pid ?? 0)) === undefined);
    expect(readSupervisorFile(instance)).toMatchObject({ state: 'failed', error: { code: 'CONFIG_INVALID' } });
    expect(await leaks()).toEqual(noFootprint);
  });

  it('starts nothing when a stranger has the port of the API', async () => {
    const stranger = createServer((_, response) => response.end('mine')).listen(port, '127.0.0.1');
    await once(stranger, 'listening');
    const told = await launch().then(booted, (error: unknown) => ({ type: 'boot_failed', error }));
    expect(told).toMatchObject({
      type: 'boot_failed',
      error: { code: 'PORT_TAKEN', data: { pid: process.pid, port } },
    });
    await until('it has ended', async () => (await identify(readSupervisorFile(instance)?.pid ?? 0)) === undefined);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('mine');
    await new Promise((resolve) => stranger.close(resolve));
    expect(await leaks()).toEqual(noFootprint);
  });
});
