import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMcpChild } from '../../helpers/mcp-child.ts';
import { until } from '../../helpers/until.ts';

const extension = join(import.meta.dirname, '../../fixtures/extensions/flapping.mjs');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-ready-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the readiness that an extension declares', () => {
  it('is in the answer to the health check, which is 200 and in time whatever the extension does', async () => {
    const gate = join(folder, 'gate');
    writeFileSync(gate, 'yes');
    await using server = await startMcpChild({ extension, env: { GATE: gate } });
    const answer = async (): Promise<unknown> => {
      const since = performance.now();
      const response = await fetch(`${server.origin}/healthz`);
      expect(response.status).toBe(200);
      const body: unknown = await response.json();
      expect(performance.now() - since).toBeLessThan(2_000);
      return body;
    };
    const becomes = (word: string, wanted: object): Promise<unknown> => {
      writeFileSync(gate, word);
      return until(word, async () => {
        const body = await answer();
        return expect.objectContaining(wanted).asymmetricMatch(body) ? body : undefined;
      });
    };
    expect(await answer()).toMatchObject({ instanceId: server.instanceId, tools: 1, ready: true });
    await becomes('its index is being built', { ready: false, reason: 'its index is being built' });
    await becomes('hang', { ready: false, reason: 'no answer within 1000 ms' });
    await becomes('throw', { ready: false, reason: 'the look at it failed, the log says why' });
    expect(server.output()).toContain('the look at readiness failed');
    const back = await becomes('yes', { ready: true });
    expect(back).not.toHaveProperty('reason');
    expect(server.child.exitCode).toBeNull();
  });
});
