import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markedProcesses } from '../../../../src/lib/infra/process/marker.ts';
import { noFootprint } from '../../../helpers/leaks.ts';
import { type RunningSystem, startSystem } from '../../../helpers/running-system.ts';
import { until } from '../../../helpers/until.ts';

const responder = join(import.meta.dirname, '../../../fixtures/bridge/responder.mjs');

const configuration = `mcp_servers:
  words:
    type: stdio
    command: ${process.execPath}
    args: [${responder}, --spawn-stray]
    description: Gives back what it is told
    oauth: { scopes: [user] }
  broken:
    type: stdio
    command: ${process.execPath}
    args: [${responder}, --crash-at-start]
    description: Ends at its start
    oauth: { scopes: [user] }
  own:
    type: stdio
    command: ${process.execPath}
    args: [${responder}]
    description: Has what its user brings
    instances: user
    user_variables: [TICKETS_TOKEN]
    oauth: { scopes: [user] }
`;

describe('programs on standard input and output in a running system', () => {
  let system: RunningSystem;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    system = await startSystem(async ({ root }) => {
      const folder = join(root, 'services', 'mcp');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'words.yaml'), configuration);
    });
    for (const server of ['words', 'broken', 'own']) tokens[server] = await system.token('--server', server);
  });
  afterAll(() => system[Symbol.asyncDispose]());

  async function call(server: string, tool: string, args: object = {}): Promise<string> {
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 4,
      method: 'tools/call',
      params: { name: tool, arguments: args },
    });
    const headers = { authorization: `Bearer ${tokens[server]}`, 'content-type': 'application/json' };
    const accept = 'application/json, text/event-stream';
    const response = await fetch(`${system.url}/api/v1/mcp/${server}/mcp`, {
      method: 'POST',
      headers: { ...headers, accept },
      body,
    });
    return await response.text();
  }

  const programs = async () =>
    (await markedProcesses(system.instance.id)).filter(({ service }) => service === 'mcp:words').length;

  it('get what their user brought, by the command, from the call on that asks for it', async () => {
    const read = () => call('own', 'env', { name: 'TICKETS_TOKEN' });
    expect(await read()).toContain('plugins mcp connect own');
    const file = join(system.instance.root, 'token.txt');
    for (const value of ['first-token-4711', 'second-token-4712']) {
      writeFileSync(file, `${value}\n`);
      expect(await system.run('plugins', 'mcp', 'connect', 'own', '--from-file', file)).toMatchObject({ code: 0 });
      await until('the new value is used', async () => (await read()).includes(value), 15_000);
    }
    expect(await system.run('plugins', 'mcp', 'disconnect', 'own', '--yes')).toMatchObject({ code: 0 });
    await until('nothing is used', async () => (await read()).includes('credentials_missing'), 15_000);
  });

  it('are called through the router, beside their bridge', async () => {
    expect(await call('words', 'echo', { a: 1 })).toContain('{\\"a\\":1}');
    expect(await programs()).toBe(3);
  });

  it('tell the caller why they did not start', async () => {
    const answer = await call('broken', 'echo');
    expect(answer).toContain('exit code 3');
    expect(answer).toContain('fatal: no vault here');
    expect(answer).not.toContain('hunter2');
  });

  it('are ended with all that they left when their bridge was killed, and come back with it', async () => {
    const before = await call('words', 'pid');
    const bridge = (await markedProcesses(system.instance.id)).filter(({ service }) => service === 'mcp:words');
    const pids = new Set(bridge.map(({ identity }) => identity.pid));
    const first = bridge.find(({ parent }) => !pids.has(parent))?.identity.pid ?? 0;
    process.kill(first, 'SIGKILL');
    await expect
      .poll(async () => (await call('words', 'pid')).includes('result'), { timeout: 30_000, interval: 200 })
      .toBe(true);
    expect(await call('words', 'pid')).not.toBe(before);
    await expect.poll(programs, { timeout: 10_000 }).toBe(3);
  });

  it('leave nothing when the system is stopped', async () => {
    expect(await system.stop()).toEqual(noFootprint);
  });
});
