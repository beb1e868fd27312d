import { join } from 'node:path';
import { expect, it } from 'vitest';
import { identify } from '../../../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../../../src/lib/infra/process/marker.ts';
import { terminate } from '../../../../src/lib/infra/process/terminate.ts';
import { type BridgeChild, startBridgeChild } from '../../../helpers/bridge-child.ts';

const responder = join(import.meta.dirname, '../../../fixtures/bridge/responder.mjs');

function settings(...flags: string[]): object {
  return {
    kind: 'stdio',
    command: { program: process.execPath, args: [responder, ...flags], cwd: import.meta.dirname },
    process: { instances: 'shared', idleStopMs: 0, startTimeoutMs: 20_000 },
    variables: ['API_KEY'],
  };
}

async function call(bridge: BridgeChild, tool: string, args: object = {}): Promise<Record<string, unknown>> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } });
  const response = await fetch(`${bridge.origin}/mcp`, { method: 'POST', headers: bridge.headers(), body });
  return (await response.json()) as Record<string, unknown>;
}

it('a bridge that is told to stop lets a call end, and leaves nothing of a program that will not', async () => {
  await using bridge = await startBridgeChild(settings('--ignore-sigterm', '--spawn-stray'));
  await call(bridge, 'echo');
  expect((await markedProcesses(bridge.installationId)).length).toBe(3);
  const last = call(bridge, 'slow', { ms: 800 });
  await call(bridge, 'echo');
  bridge.child.kill('SIGTERM');
  expect(JSON.stringify(await last)).toContain('done');
  expect(await bridge.exited).toBe(0);
  expect(await markedProcesses(bridge.installationId)).toEqual([]);
});

it('a bridge that was killed leaves nothing that its supervisor would not find and end', async () => {
  await using bridge = await startBridgeChild(settings('--ignore-sigterm', '--spawn-stray'));
  await call(bridge, 'echo');
  const { pid = 0 } = bridge.child;
  const identity = await identify(pid);
  bridge.child.kill('SIGKILL');
  await bridge.exited;
  expect((await markedProcesses(bridge.installationId)).length).toBe(2);
  const { installationId, instanceId } = bridge;
  if (identity === undefined) throw new Error('no identity');
  await terminate({ identity, installationId, instanceId }, { signal: 'SIGTERM', graceMs: 200, killWaitMs: 5_000 });
  expect(await markedProcesses(installationId)).toEqual([]);
});

it('a program that minds its input ends by itself when its bridge was killed', async () => {
  await using bridge = await startBridgeChild(settings());
  await call(bridge, 'echo');
  bridge.child.kill('SIGKILL');
  await bridge.exited;
  await expect.poll(() => markedProcesses(bridge.installationId), { timeout: 10_000 }).toEqual([]);
});

it('a line of half a gigabyte costs its caller an error and the bridge no memory; what is secret is in no line of the log', async () => {
  await using bridge = await startBridgeChild(settings(), {
    API_KEY: 'sesame-open-wide',
    SYSTEMPROMPT_SECRET_VARIABLES: 'API_KEY',
  });
  await call(bridge, 'echo');
  const huge = await call(bridge, 'huge', { megabytes: 512 });
  expect(JSON.stringify(huge)).toContain('more than the bridge takes');
  expect(JSON.stringify(await call(bridge, 'env', { name: 'API_KEY' }))).toContain('sesame-open-wide');
  const health = (await (await fetch(`${bridge.origin}/healthz`)).json()) as { rssBytes: number };
  expect(health.rssBytes).toBeLessThan(256 * 1024 * 1024);
  await call(bridge, 'crash');
  await expect.poll(() => bridge.output()).toContain('it broke');
  expect(bridge.output()).not.toMatch(/sesame-open-wide|abcdefgh12345678/);
});
