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
