import type { lookup } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createGuardedFetch,
  FetchRefusedError,
  guardHolds,
  isSpecialAddress,
} from '../../../../src/lib/infra/http/guarded-fetch.ts';

const bounds = { maxBytes: 100, timeoutMs: 1500 };
let sink: Server;
let port: number;
let connections = 0;

beforeAll(async () => {
  sink = createServer((request, response) => {
    if (request.url === '/moved') return response.writeHead(302, { location: '/ok' }).end();
    if (request.url === '/large') return response.end('x'.repeat(101));
    if (request.url === '/endless') return response.write('x');
    if (request.url === '/claims-large') return response.writeHead(200, { 'content-length': '5000' }).end('x');
    return response.end('{"ok":true}');
  });
  sink.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((done) => sink.listen(0, '127.0.0.1', done));
  port = (sink.address() as AddressInfo).port;
});
afterAll(() => {
  sink.closeAllConnections();
  sink.close();
});

/** A resolver that answers with those addresses, one list for each question. */
function resolver(...answers: string[][]): typeof lookup {
  let at = 0;
  return ((_name: string, _options: object, done: (error: null, found: object[]) => void) => {
    const addresses = answers[Math.min(at, answers.length - 1)] ?? [];
    at += 1;
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  }) as unknown as typeof lookup;
}

async function refused(url: string, guarded = createGuardedFetch()): Promise<boolean> {
  try {
    await guarded(url, bounds);
    return false;
  } catch (error) {
    return error instanceof FetchRefusedError || (error as Error).cause instanceof FetchRefusedError;
  }
}

describe('what strangers name is fetched', () => {
  it('auth 28: from public addresses only, however another one is written', async () => {
    const hosts = [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0.0.0.0',
      '10.0.0.1',
      '172.16.3.4',
      '192.168.0.1',
      '169.254.169.254',
      '100.100.100.200',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[fd00:ec2::254]',
      '[fe80::1]',
      '[64:ff9b::7f00:1]',
      '[64:ff9b:1::a00:1]',
      '[2002:7f00:1::]',
      '[2001:db8::1]',
      '[ff02::1]',
    ];
    for (const host of hosts) expect(await refused(`https://${host}:${port}/`), host).toBe(true);
    expect(await refused(`https://localhost:${port}/`)).toBe(true);
    expect(connections).toBe(0);
    for (const address of ['1.1.1.1', '8.8.8.8', '2606:4700::1111', '2a00:1450:4001::8a']) {
      expect(isSpecialAddress(address), address).toBe(false);
    }
  });

  it('auth 28: by no name that leads elsewhere, be it the second time it is asked or one address of several', async () => {
    const names = [['127.0.0.1'], ['::1'], ['::ffff:10.0.0.1'], ['64:ff9b::7f00:1'], ['1.1.1.1', '127.0.0.1'], []];
    for (const answer of names) {
      expect(await refused(`https://evil.example:${port}/`, createGuardedFetch(resolver(answer))), `${answer}`).toBe(
        true,
      );
    }
    expect(connections).toBe(0);
  });

  it('auth 28: by https and without credentials', async () => {
    for (const url of [
      'http://example.com/',
      'https://user@example.com/',
      'https://a:b@example.com/',
      'ftp://a.example/',
    ]) {
      expect(await refused(url), url).toBe(true);
    }
    expect(connections).toBe(0);
  });

  it('auth 28: without following where it is sent, without reading on for ever', async () => {
    const guarded = createGuardedFetch();
    const at = (path: string) => guarded(`http://127.0.0.1:${port}${path}`, { ...bounds, privateNetwork: true });
    expect(await at('/ok')).toMatchObject({ status: 200, body: Buffer.from('{"ok":true}') });
    expect((await at('/moved')).status).toBe(302);
    await expect(at('/large')).rejects.toThrow(FetchRefusedError);
    await expect(at('/claims-large')).rejects.toThrow(FetchRefusedError);
    const begin = performance.now();
    await expect(at('/endless')).rejects.toThrow(/timeout/i);
    expect(performance.now() - begin).toBeLessThan(4000);
  });

  it('only while the guard holds: it is tried at the start', async () => {
    expect(await guardHolds()).toBe(true);
    expect(
      await guardHolds(async (url) => {
        await fetch(url.replace('https:', 'http:'));
        throw new FetchRefusedError('too late');
      }),
    ).toBe(false);
    expect(await guardHolds(async () => ({ status: 200, headers: new Headers(), body: Buffer.alloc(0) }))).toBe(false);
  });
});
