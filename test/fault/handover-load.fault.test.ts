import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { createPreparedInstance } from '../helpers/prepared-cluster.ts';
import { until } from '../helpers/until.ts';
import { compareAudit } from '../soak/audit.ts';
import { HttpLoad } from '../soak/http-load.ts';
import { Load } from '../soak/load.ts';
import { SoakSystem } from '../soak/system.ts';

// The built product under load while its processes are exchanged: PostgreSQL, the API twice over, two MCP servers.

let system: SoakSystem;
let client: SupervisorClient;
/** Calls to both servers from the first test to the last. */
let load: Load;
beforeAll(async () => {
  system = await SoakSystem.create({ workers: 2, createInstance: createPreparedInstance });
  const { code, stderr } = await system.cli('infra', 'services', 'start');
  if (code !== 0) throw new Error(stderr);
  client = await SupervisorClient.connect(system.instance.controlSocket);
  load = new Load(system, 8, 10);
  await until('there is load', () => load.told.acknowledged.size > 50, 60_000);
});
afterAll(async () => {
  await load?.stop();
  client?.close();
  await system.kill();
  await system.remove();
});

const apis = async () => (await client.status()).services.filter(({ kind }) => kind === 'api');
const probeSockets = () => readdirSync(system.instance.runtimeDir).filter((name) => /^[0-9a-f]{12}\.sock$/.test(name));

describe('change without downtime', () => {
  it('MCP servers are restarted five times under load, and no call fails', async () => {
    const before = (await client.status()).services.filter(({ kind }) => kind === 'mcp');
    for (let turn = 1; turn <= 5; turn += 1) {
      const { failed, services } = await client.restart(['mcp:alpha', 'mcp:beta']);
      expect(failed).toEqual([]);
      expect(services.map(({ generation }) => generation)).toEqual([turn + 1, turn + 1]);
      const answered = load.told.acknowledged.size;
      await until('there is load on the new ones', () => load.told.acknowledged.size > answered + 50, 60_000);
    }
    expect(Object.fromEntries(load.told.failures)).toEqual({});
    const pids = (await markedProcesses(system.instance.id)).map(({ identity }) => identity.pid);
    for (const { pid } of before) expect(pids).not.toContain(pid);
  });

  it('the API is restarted five times under load, a worker at a time, and no request and no tool call fails', async () => {
    const requests = new HttpLoad(system.ports[0], { clients: 8, keepAlive: true });
    await until('there is load', () => requests.told.ok > 100, 60_000);
    const before = await apis();
    expect(before.map(({ name }) => name)).toEqual(['api:1', 'api:2']);
    let most = 0;
    const watch = setInterval(async () => {
      const workers = (await markedProcesses(system.instance.id)).filter(({ service }) => service.startsWith('api'));
      most = Math.max(most, workers.length);
    }, 20);
    for (let turn = 1; turn <= 5; turn += 1) expect((await client.restart(['api'])).failed).toEqual([]);
    clearInterval(watch);
    const told = await requests.stop();
    expect(Object.fromEntries(told.failures)).toEqual({});
    expect(Object.fromEntries(load.told.failures)).toEqual({});
    expect(told.ok).toBeGreaterThan(1000);
    // Never more than one process too many, and each of the twelve was used or at least there.
    expect(most).toBe(3);
    expect(told.runs.size).toBeGreaterThan(5);
    const after = await apis();
    expect(after.map(({ generation, state }) => [generation, state])).toEqual([
      [6, 'ready'],
      [6, 'ready'],
    ]);
    expect(after.map(({ port }) => port)).toEqual([system.ports[0], system.ports[0]]);
    expect(probeSockets()).toHaveLength(2);
  });

  it('each of those calls ran once, and has the rows that say so', async () => {
    const told = await load.stop();
    expect(Object.fromEntries(told.failures)).toEqual({});
    const truth = await compareAudit(system, told);
    expect(truth).toMatchObject({ untrue: [], unrecorded: [], ranTwice: [], outcomesWithoutIntent: 0, open: 0 });
    expect(truth.matching).toBe(told.acknowledged.size);
    expect(truth.matching).toBeGreaterThan(200);
  });

  it('a stranger who shares the port keeps a new worker from taking over, and is named', async () => {
    const stranger = createServer().listen({ host: '127.0.0.1', port: system.ports[0], reusePort: true });
    await once(stranger, 'listening');
    const before = await apis();
    const { failed, services } = await client.restart(['api']);
    expect(failed).toEqual(['api:1', 'api:2']);
    expect(services[0]).toMatchObject({ state: 'ready', lastErrorCode: 'PORT_TAKEN', pid: before[0]?.pid });
    expect(services[0]?.lastError).toContain(`process ${process.pid} (`);
    expect(services[1]?.lastError).toContain('api:1');
    await new Promise((resolve) => stranger.close(resolve));
    expect((await client.restart(['api'])).failed).toEqual([]);
  });

  it('the API comes back from a stop only when it can make calls', async () => {
    await client.stop(['api']);
    const { failed, services } = await client.start(['api']);
    expect(failed).toEqual([]);
    for (const { health } of services.filter(({ kind }) => kind === 'api')) {
      expect(health).toMatchObject({ serving: true });
      expect(health?.reason).toBeUndefined();
    }
  });

  it('stops without a trace', async () => {
    expect((await system.cli('infra', 'services', 'stop')).code).toBe(0);
    await until('the supervisor is gone', async () => (await system.footprint()).sockets.length === 0);
    expect(await system.footprint()).toEqual(noFootprint);
    expect(probeSockets()).toEqual([]);
  });
});
