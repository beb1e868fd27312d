import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { expect, it } from 'vitest';
import type { ExecutionId } from '../../../src/lib/shared/ids.ts';
import { startMcpChild } from '../../helpers/mcp-child.ts';
import { until } from '../../helpers/until.ts';

const extension = join(import.meta.dirname, '../../fixtures/extensions/prints.mjs');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const bodyLines = pem.split('\n').slice(1, -2);
const exec = '01930000-0000-7000-8000-000000000001' as ExecutionId;
const trace = '0af7651916cd43dd8448eb211c80319c';
const secret = 'canary/of the "store" 71';

it('what an extension prints becomes lines of the log that name the run, without the secrets that we can know', async () => {
  await using server = await startMcpChild({
    extension,
    env: {
      PLAIN_NAME: secret,
      PEM: pem,
      // One that is known to nobody but by its look.
      PEM_LITERAL: pem.replaceAll('\n', '|').replace(/^/, 'key: '),
      SYSTEMPROMPT_SECRET_VARIABLES: 'PLAIN_NAME',
      SYSTEMPROMPT_SECRET_ARGUMENTS: JSON.stringify({ print: ['note'] }),
    },
  });
  const client = new Client({ name: 'test', version: '1' });
  const routed: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    for (const [name, value] of Object.entries(server.headers({ exec }))) headers.set(name, value);
    headers.set('traceparent', `00-${trace}-b7ad6b7169203331-01`);
    return fetch(input, { ...init, headers });
  };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${server.origin}/mcp`), { fetch: routed }) as never);
  const good = await client.callTool({ name: 'print', arguments: { note: 'canary-argument' } });
  expect(good.isError ?? false).toBe(false);
  const bad = await client.callTool({ name: 'print', arguments: { note: 'canary-argument', fail: true } });
  expect(bad.isError).toBe(true);
  await client.close();
  const output = await until(
    'the log of the failure',
    () => server.output().includes('tool failed') && server.output(),
  );
  const lines = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.every((line) => line['service'] === 'mcp:fixture' && line['instanceId'] === server.instanceId)).toBe(
    true,
  );
  const said = lines.map(({ stream, msg }) => [stream, msg]);
  expect(said).toContainEqual(['stdout', 'started with [redacted]']);
  expect(said).toContainEqual(['stdout', 'note [redacted]']);
  expect(said).toContainEqual(['stdout', 'in pieces [redacted]']);
  expect(said).toContainEqual(['stderr', 'env [redacted] [redacted]']);
  expect(said).toContainEqual([undefined, 'warned of [redacted]']);
  // What is printed in the course of a call names it; what is printed at the start names none.
  const printed = (msg: string) => lines.find((line) => line['msg'] === msg);
  expect(printed('note [redacted]')).toMatchObject({ execution: exec, trace_id: trace, tool: 'print' });
  expect(printed('started with [redacted]')).not.toHaveProperty('execution');
  expect(printed('tool failed')).toMatchObject({ execution: exec, trace_id: trace });
  expect(output).not.toContain('canary');
  for (const line of bodyLines) expect(output).not.toContain(line);
});
