import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort, holderOf, isPortFree } from '../../../../src/lib/infra/process/ports.ts';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(host: string, port = 0): Promise<number> {
  const server = createServer().listen({ host, port });
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('ports', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::'])(
    'one that is held on %s is not free, and its holder is known',
    async (host) => {
      const port = await listen(host);
      expect(await isPortFree(port)).toBe(false);
      const holder = await holderOf(port);
      expect(holder).toMatchObject({ port, pid: process.pid });
      expect(holder?.command).not.toBe('');
    },
  );

  it('one that nobody holds is free', async () => {
    const port = await listen('127.0.0.1');
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    expect(await isPortFree(port)).toBe(true);
    expect(await holderOf(port)).toBeUndefined();
  });

  it('the first free one of a range is found, exceptions left out', async () => {
    const taken = await listen('127.0.0.1', (await freePort([41_000, 42_000])) ?? 0);
    const next = await freePort([taken, taken + 50]);
    expect(next).toBeGreaterThan(taken);
    expect(await freePort([taken, taken + 50], new Set([next ?? 0]))).toBeGreaterThan(next ?? 0);
    expect(await freePort([taken, taken])).toBeUndefined();
  });
});
