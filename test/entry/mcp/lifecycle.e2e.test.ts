import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type McpChild, spawnMcpChild, startMcpChild } from '../../helpers/mcp-child.ts';

const fixtures = join(import.meta.dirname, '../../fixtures/extensions');
const extension = join(fixtures, 'demo.mjs');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-lifecycle-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function call(server: McpChild, tool: string, args: object): Promise<Response> {
  return fetch(`${server.origin}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...server.headers() },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }),
  });
}

async function started(file: string): Promise<void> {
  await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe('started'), 10_000);
}

describe('a server that can’t start as it is told to', () => {
  const cases: readonly (readonly [string, Record<string, string>, string])[] = [
    ['no name', { MCP_SERVICE_ID: '' }, 'MCP_SERVICE_ID is empty'],
    ['a port that is none', { MCP_PORT: '80000' }, 'MCP_PORT is not a port number'],
    ['a short key', { SYSTEMPROMPT_IDENTITY_KEY: 'canary' }, 'SYSTEMPROMPT_IDENTITY_KEY is not 32 bytes in base64url'],
    [
      'no such module',
      { SYSTEMPROMPT_EXTENSION: '/nowhere.mjs' },
      'SYSTEMPROMPT_EXTENSION /nowhere.mjs could not be loaded',
    ],
    [
      'a package that is not installed',
      { SYSTEMPROMPT_EXTENSION: join(fixtures, 'absent-package.mjs') },
      '(npm install @nobody/has-this)',
    ],
    ['a module that fails', { SYSTEMPROMPT_EXTENSION: join(fixtures, 'broken.mjs') }, 'broken while loading'],
    [
      'a module without a server',
      { SYSTEMPROMPT_EXTENSION: join(fixtures, 'no-server.mjs') },
      'has no export "server"',
    ],
  ];

  it.each(cases)('exits with 78 and one line: %s', async (_label, env, message) => {
    await using server = await spawnMcpChild({ extension, env });
    expect(await server.exited).toEqual({ code: 78, signal: null });
    const lines = server.output().trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'fatal', msg: expect.stringContaining(message) });
    expect(server.output()).not.toContain('canary');
  });

  it('exits with 1 when the port is taken: another try may find it free', async () => {
    await using first = await startMcpChild({ extension });
    const { port } = new URL(first.origin);
    await using second = await spawnMcpChild({ extension, env: { MCP_PORT: port } });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.output()).toContain('EADDRINUSE');
  });
});

describe('a server that is told to stop', () => {
  it('answers what runs and what is on its way, listens no more, and exits with 0', async () => {
    await using server = await startMcpChild({ extension });
    const file = join(folder, 'drain');
    const running = call(server, 'wait', { file, ms: 2_000 });
    await started(file);
    server.child.kill('SIGTERM');
    await vi.waitFor(() => expect(server.output()).toContain('"stopping"'), 5_000);
    // On a connection that is open it may still be served; a new one is refused.
    await vi.waitFor(
      () => expect(call(server, 'echo', { text: 'late' }).then((answer) => answer.text())).rejects.toThrow(),
      5_000,
    );
    expect(await (await running).text()).toContain('done');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  it('ends calls that go on for too long, and answers them', async () => {
    await using server = await startMcpChild({ extension });
    const file = join(folder, 'bounded');
    const running = call(server, 'wait', { file });
    await started(file);
    const begin = performance.now();
    server.child.kill('SIGTERM');
    expect(await (await running).text()).toContain('cancelled');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('does not wait for idle connections', async () => {
    await using server = await startMcpChild({ extension });
    await (await call(server, 'echo', { text: 'x' })).text();
    const begin = performance.now();
    server.child.kill('SIGTERM');
    expect((await server.exited).code).toBe(0);
    expect(performance.now() - begin).toBeLessThan(2_000);
  });
});
