import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BridgeRig, bridgeRig, textOf } from '../../../helpers/bridge-rig.ts';

const program = join(import.meta.dirname, '../../../fixtures/bridge/server.py');
const hasPython = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'python3')));

describe.skipIf(!hasPython)(`a server in Python behind the bridge${hasPython ? '' : ' (skipped: no python3)'}`, () => {
  let rig: BridgeRig;
  beforeAll(async () => {
    rig = await bridgeRig({ kind: 'http', program: 'python3', args: [program], env: { MODE: 'quiet' } });
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  it('verifies the identity that the router signed, for single requests and sessions alike', async () => {
    const identity = { sub: 'ada' as never, scopes: ['user', 'admin'] };
    expect(textOf(await rig.call('whoami', {}, { identity }))).toBe('ada user admin');
    const initialized = await rig.ask({
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    });
    expect(initialized.result?.['serverInfo']).toEqual({ name: 'python', version: '1.0.0' });
  });

  it('gets the variables of its server, and no others of the process', async () => {
    expect(textOf(await rig.call('env', { name: 'MODE' }))).toBe('quiet');
    expect(textOf(await rig.call('env', { name: 'VITEST' }))).toBe('');
  });

  it('serves clients of the modern era as well', async () => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'whoami' };
    const params = { name: 'whoami', arguments: {}, _meta: meta };
    const answer = await rig.ask({ id: 'm', method: 'tools/call', params }, { headers });
    expect([answer.id, answer.result?.['resultType'], textOf(answer)]).toEqual(['m', 'complete', 'user-1 user']);
  });

  it('answers with a clear error when the program ends in the middle of a call', async () => {
    const answer = await rig.call('stop');
    expect(answer.error?.data?.['code']).toBe('UPSTREAM_FAILED');
  });
});
