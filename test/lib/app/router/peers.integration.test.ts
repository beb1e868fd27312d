import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Peers } from '../../../../src/lib/app/router/peers.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const owner = '0123456789ab';

/** A process that hands every request to another one, of which this is what it gets. */
async function twoProcesses() {
  const folder = await temporaryFolder();
  const got: ServerResponse[] = [];
  const closed: unknown[] = [];
  const other = createServer((_req, res) => {
    got.push(res);
    res.once('close', () => closed.push(res));
  });
  other.listen(join(folder.path, `${owner}.sock`));
  await once(other, 'listening');
  const peers = new Peers({ apiInstance: 'ffffffffffff', folder: folder.path, externalUrl: 'http://localhost' });
  const api = createServer((req, res) => void peers.forward(owner, req, res));
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  const ask = () => get({ host: '127.0.0.1', port: (api.address() as AddressInfo).port });
  const close = async () => {
    for (const server of [api, other]) {
      server.closeAllConnections();
      server.close();
    }
    await folder[Symbol.asyncDispose]();
  };
  return { got, closed, ask, close };
}

it.each(['before its answer', 'in the middle of its answer'])(
  'a client that leaves %s leaves the other process as well',
  async (when) => {
    const { got, closed, ask, close } = await twoProcesses();
    try {
      const client = ask();
      client.on('error', () => undefined);
      await expect.poll(() => got.length).toBe(1);
      if (when === 'in the middle of its answer') {
        got[0]?.write(': hello\n\n');
        const [answer] = (await once(client, 'response')) as [IncomingMessage];
        answer.on('error', () => undefined);
        await once(answer, 'data');
      }
      client.destroy();
      await expect.poll(() => closed.length, { timeout: 3_000 }).toBe(1);
    } finally {
      await close();
    }
  },
);

it('a stream that the other process drops is dropped here', async () => {
  const { got, ask, close } = await twoProcesses();
  try {
    const client = ask();
    client.on('error', () => undefined);
    await expect.poll(() => got.length).toBe(1);
    got[0]?.write(': hello\n\n');
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    await once(answer, 'data');
    let broken: unknown;
    answer.on('error', (error) => {
      broken = error;
    });
    got[0]?.destroy();
    await expect.poll(() => broken, { timeout: 3_000 }).toBeInstanceOf(Error);
  } finally {
    await close();
  }
});
