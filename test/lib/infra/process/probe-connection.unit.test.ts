import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ProbeConnection, parseAnswer } from '../../../../src/lib/infra/process/probe-connection.ts';
import { until } from '../../../helpers/until.ts';

const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

const servers: Server[] = [];
const open = new Set<Socket>();
afterEach(() => {
  for (const socket of open) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A server that does as told with each request; which connection it came over counts from 1. */
async function serve(answer: (socket: Socket, connection: number) => void) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const mine = connections;
    open.add(socket.on('error', () => {}));
    socket.on('data', () => answer(socket, mine));
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    server,
    connections: () => connections,
  };
}

describe('the connection over which a process is asked', () => {
  it('serves again and again, also when nobody listens any more, until it is closed', async () => {
    const { address, server, connections } = await serve((socket) => socket.write(whole));
    const connection = new ProbeConnection();
    expect(connection.ageMs).toBeUndefined();
    expect(await connection.ask(address, request, 2_000)).toEqual({ status: 200, body: 'hi' });
    server.close();
    expect(await connection.ask(address, request, 2_000)).toEqual({ status: 200, body: 'hi' });
    expect(connections()).toBe(1);
    expect(connection.ageMs).toBeGreaterThan(0);
    connection.close();
    await expect(connection.ask(address, request, 2_000)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('a question that is given up is not asked again', async () => {
    const asked: number[] = [];
    const { address, connections } = await serve((socket, nth) => {
      asked.push(nth);
      if (asked.length === 1) socket.write(whole);
    });
    const connection = new ProbeConnection();
    await connection.ask(address, request, 2_000);
    const second = connection.ask(address, request, 300);
    await until('it is asked', () => asked.length === 2);
    connection.close();
    await expect(second).rejects.toThrow('given up');
    expect(connections()).toBe(1);
    expect(connection.ageMs).toBeUndefined();
  });

  it('opens another when the old one is closed instead of an answer, and only then', async () => {
    const { address, connections } = await serve((socket, nth) =>
      nth === 1 && socket.bytesWritten > 0 ? socket.destroy() : socket.write(whole),
    );
    const connection = new ProbeConnection();
    await connection.ask(address, request, 2_000);
    expect(await connection.ask(address, request, 2_000)).toEqual({ status: 200, body: 'hi' });
    expect(connections()).toBe(2);
    const closes = await serve((socket) => socket.destroy());
    await expect(new ProbeConnection().ask(closes.address, request, 2_000)).rejects.toThrow();
    expect(closes.connections()).toBe(1);
    connection.close();
  });

  it('waits no longer than told, over an old connection as well', async () => {
    let deaf = false;
    const { address, connections } = await serve((socket) => deaf || socket.write(whole));
    const connection = new ProbeConnection();
    await connection.ask(address, request, 2_000);
    deaf = true;
    await expect(connection.ask(address, request, 50)).rejects.toThrow('no answer in time');
    expect(connections()).toBe(1);
    expect(connection.ageMs).toBeUndefined();
  });

  it('gives up a question when it is closed', async () => {
    const { address } = await serve(() => {});
    const connection = new ProbeConnection();
    const asked = connection.ask(address, request, 2_000);
    connection.close();
    await expect(asked).rejects.toThrow('the check was given up');
  });

  it.each([
    ['by length, in pieces', ['HTTP/1.1 200 OK\r\nconte', 'nt-length: 3\r\n\r\n', 'a', 'bc'], 'abc', 1],
    [
      'in chunks',
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r', '\n1;x=y\r\nc\r\n0\r\n\r\n'],
      'abc',
      1,
    ],
    ['after an interim answer', [`HTTP/1.1 102 Processing\r\n\r\n${whole}`], 'hi', 1],
    ['and closed', ['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na'], 'a', 2],
  ])('takes an answer %s', async (_, parts, body, connectionsAfter) => {
    const { address, connections } = await serve((socket) => {
      const [first = '', ...rest] = parts;
      socket.setNoDelay().write(first);
      // Each in a packet of its own.
      for (const [index, part] of rest.entries()) setTimeout(() => socket.write(part), 10 * (index + 1));
    });
    const connection = new ProbeConnection();
    for (let time = 0; time < 2; time += 1)
      expect(await connection.ask(address, request, 2_000)).toEqual({ status: 200, body });
    expect(connections()).toBe(connectionsAfter);
    connection.close();
  });

  it('takes an answer that ends with the connection', async () => {
    const { address } = await serve((socket) => socket.end('HTTP/1.0 503 No\r\n\r\nnot yet'));
    const connection = new ProbeConnection();
    expect(await connection.ask(address, request, 2_000)).toEqual({ status: 503, body: 'not yet' });
    expect(connection.ageMs).toBeUndefined();
  });

  it.each([
    ['SSH-2.0-OpenSSH\r\n', 'no HTTP'],
    ['HTTP/1.1 OK\r\n\r\n', 'no HTTP'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'no HTTP'],
    [`HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n${'a'.repeat(70_000)}`, 'too long'],
  ])('refuses %j', async (text, reason) => {
    const { address } = await serve((socket) => socket.write(text));
    await expect(new ProbeConnection().ask(address, request, 2_000)).rejects.toThrow(reason);
  });

  it('reads a body as UTF-8', () => {
    const text = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\u00fc').toString('latin1');
    expect(parseAnswer(text, false)?.answer.body).toBe('\u00fc');
  });
});
