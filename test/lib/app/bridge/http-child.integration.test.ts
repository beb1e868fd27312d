import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markedProcesses } from '../../../../src/lib/infra/process/marker.ts';
import { type BridgeRig, bridgeRig, textOf } from '../../../helpers/bridge-rig.ts';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/servers-in-any-language.md'), 'utf8');
/** The server that the page shows, as it stands there. */
const greeter = /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
const hasPython = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'python3')));

/** A server that takes nothing without a session, forgets all of them when told to, and says how many it began. */
const forgetful = `
const known = new Set();
let begun = 0;
require('node:http').createServer(async (req, res) => {
  let body = '';
  for await (const chunk of req) body += chunk;
  const { id, method, params } = body === '' ? {} : JSON.parse(body);
  const say = (result, headers = {}) => {
    res.writeHead(200, { 'content-type': 'application/json', ...headers });
    res.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  };
  if (req.url === '/healthz') return res.end();
  if (method === 'initialize') {
    await new Promise((resolve) => setTimeout(resolve, 50));
    known.add('s' + ++begun);
    const { protocolVersion } = params;
    const result = { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'f', version: '1' } };
    return say(result, { 'mcp-session-id': 's' + begun });
  }
  const session = req.headers['mcp-session-id'];
  if (!known.has(session)) return res.writeHead(session === undefined ? 400 : 404).end();
  if (id === undefined) return res.writeHead(202).end();
  if (params.name === 'forget') known.clear();
  say({ content: [{ type: 'text', text: session }] });
}).listen(process.env.MCP_PORT, '127.0.0.1');
`;

it('begins one session in the place of one that the server has forgotten, however many requests meet that', async () => {
  await using rig = await bridgeRig({ kind: 'http', program: process.execPath, args: ['-e', forgetful] });
  expect(textOf(await rig.call('any'))).toBe('s1');
  await rig.call('forget');
  const found = await Promise.all(Array.from({ length: 8 }, () => rig.call('any')));
  expect(found.map(textOf)).toEqual(Array.from({ length: 8 }, () => 's2'));
});

describe.skipIf(!hasPython)(`a server in Python behind the bridge${hasPython ? '' : ' (skipped: no python3)'}`, () => {
  let rig: BridgeRig;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sp-python-'));
    writeFileSync(join(folder, 'greeter.py'), greeter);
    const args = [join(folder, 'greeter.py')];
    rig = await bridgeRig({ kind: 'http', program: 'python3', args, env: { GREETING: 'Hello' } });
  });
  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
    expect(await markedProcesses(rig.installationId)).toEqual([]);
  });

  it('verifies the identity that the router signed, for single requests and for the beginning of a session', async () => {
    const identity = { name: 'Ada' };
    expect(textOf(await rig.call('greet', { mark: '!' }, { identity }))).toBe('Hello, Ada!');
    const initialized = await rig.ask({
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    });
    expect(initialized.result?.['serverInfo']).toEqual({ name: 'greeter', version: '1.0.0' });
  });

  it('serves clients of the modern era as well', async () => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'greet' };
    const params = { name: 'greet', arguments: {}, _meta: meta };
    const answer = await rig.ask({ id: 'm', method: 'tools/call', params }, { headers });
    expect([answer.id, answer.result?.['resultType'], textOf(answer)]).toEqual(['m', 'complete', 'Hello, owner.']);
  });

  it('answers with a clear error when the program has ended', async () => {
    for (const { identity } of await markedProcesses(rig.installationId)) process.kill(identity.pid, 'SIGKILL');
    await expect.poll(async () => (await rig.call('greet')).error?.data?.['code']).toBe('UPSTREAM_FAILED');
  });
});
