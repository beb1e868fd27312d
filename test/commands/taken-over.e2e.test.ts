import { once } from 'node:events';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

interface Table<T> {
  readonly title?: string;
  readonly items: readonly T[];
}

let system: RunningSystem;
beforeAll(async () => {
  // What is changed waits: it is about what is said meanwhile.
  system = await startSystem(async ({ projectDir }) => {
    await appendFile(join(projectDir, 'profiles/local/profile.yaml'), '\nruntime: { apply_changes: manual }\n');
  });
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

it('a start tells of an API that failed, and no token goes to whoever holds its port', async () => {
  expect((await system.run('infra', 'services', 'stop', 'api')).code).toBe(0);
  const tokens: unknown[] = [];
  const thief = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.end('{}');
  }).listen(Number(new URL(system.url).port), '127.0.0.1');
  await once(thief, 'listening');
  try {
    for (const _ of ['first', 'again']) {
      const start = await system.run('infra', 'services', 'start');
      expect(start).toMatchObject({ code: 8, stdout: '' });
      expect(start.stderr).toMatch(/api: Port \d+ of api is taken by process/);
    }
    for (const argv of [
      ['tools', 'systemprompt'],
      ['call', 'systemprompt', 'systemprompt', '--args', '{"args":["doctor"]}'],
    ]) {
      const refused = await system.run('plugins', 'mcp', ...argv, '--json');
      expect(JSON.parse(refused.stdout).error).toMatchObject({ code: 'API_UNAVAILABLE' });
    }
    expect(tokens).toEqual([]);
  } finally {
    thief.closeAllConnections();
    thief.close();
    await once(thief, 'close');
  }

  const repaired = await system.run('infra', 'services', 'start');
  expect(repaired.code, repaired.stderr).toBe(0);
  expect(repaired.stdout).toContain('systemprompt is running');
  expect((await fetch(`${system.url}/healthz`)).status).toBe(200);
  expect((await system.run('plugins', 'mcp', 'tools', 'systemprompt')).code).toBe(0);
});

it('a server whose file came after the start is listed as not running, and calls say when it takes effect', async () => {
  const { root } = system.instance;
  // The project's own folder takes the place of the package's, whose server it keeps.
  const folder = join(root, 'services', 'mcp');
  await mkdir(folder, { recursive: true });
  const server = (name: string, port: number) =>
    `mcp_servers:\n  ${name}:\n    module: extensions/mcp/systemprompt\n    port: ${port}\n    description: For a test\n    oauth: { scopes: [user] }\n`;
  await writeFile(join(folder, 'systemprompt.yaml'), server('systemprompt', 5010));
  await writeFile(join(folder, 'other.yaml'), server('other', 5011));

  const { items } = await system.artifact<Table<{ name: string; state: string }>>('plugins', 'mcp', 'list');
  expect(items.map(({ name, state }) => `${name} ${state}`)).toEqual(['other not running', 'systemprompt ready']);
  for (const argv of [
    ['plugins', 'mcp', 'call', 'other', 'x'],
    ['plugins', 'mcp', 'status', 'other'],
    ['infra', 'services', 'restart', 'mcp:other'],
  ]) {
    const refused = await system.run(...argv, '--json');
    expect(JSON.parse(refused.stdout).error, argv.join(' ')).toMatchObject({
      code: 'NOT_FOUND',
      message: 'The MCP server other is configured and not running',
      hint: 'A reconcile brings a new file into force',
      next: [expect.stringContaining('infra services reconcile')],
    });
  }
  const unknown = await system.run('plugins', 'mcp', 'call', 'nothing', 'x', '--json');
  expect(JSON.parse(unknown.stdout).error.message).toBe('There is no MCP server named nothing');
});

it('doctor knows the API that a killed supervisor left behind, and advises a start', async () => {
  const { title = '' } = await system.artifact<Table<unknown>>('infra', 'services', 'status');
  process.kill(Number(/supervisor (\d+)/.exec(title)?.[1]), 'SIGKILL');
  const gone = /supervisor +fail +it is gone; a start takes over api/;
  await until('the supervisor is gone', async () => gone.test((await system.run('doctor')).stdout));
  const { code, stdout, stderr } = await system.run('doctor');
  expect(code).toBe(6);
  expect(stdout).toMatch(/port +ok +\d+ is held by our own api, pid \d+/);
  expect(stdout + stderr).not.toContain('is taken by');
  expect(stderr).toContain('it is gone; a start takes over api, database, mcp:systemprompt');
  expect(stderr).toContain('infra services start');
  expect((await system.run('infra', 'services', 'start')).code).toBe(0);
});
