import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { EventStream, type EventStreamOptions } from '../../../src/entry/api/event-stream.ts';
import { type EventSource, openEventSource } from '../../helpers/event-source.ts';
import { until } from '../../helpers/until.ts';

let server: Server;
let source: EventSource | undefined;
afterEach(async () => {
  source?.close();
  await new Promise((resolve) => server.close(resolve));
});

/** A stream to a reader of its own. */
async function stream(options: EventStreamOptions): Promise<EventStream> {
  let opened: EventStream | undefined;
  server = createServer((_, response) => {
    opened = new EventStream(response, {}, options);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  source = await openEventSource({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  return await until('the stream', () => opened);
}

it('says something now and then, and tells how soon to come back', async () => {
  const opened = await stream({ stillAllowed: async () => {}, heartbeatMs: 20 });
  await until('two heartbeats', () => source?.text().includes(':\n\n:\n\n'));
  expect(source?.text().startsWith('retry: 2000\n\n')).toBe(true);
  opened.end();
  await source?.ended;
});

it('is over when its reader may not listen any more', async () => {
  let allowed = true;
  const stillAllowed = async () => {
    if (!allowed) throw new Error('revoked');
  };
  const opened = await stream({ stillAllowed, heartbeatMs: 20 });
  await until('a heartbeat', () => source?.text().includes(':\n\n'));
  expect(opened.signal.aborted).toBe(false);
  allowed = false;
  await until('the end', () => opened.signal.aborted);
  await opened.write('id: 1\n\n');
  opened.end();
  await source?.ended;
  expect(source?.text()).not.toContain('id: 1');
});

it('is over at once for a reader who left before it began', async () => {
  let opened: EventStream | undefined;
  server = createServer((_, response) => {
    response.once('close', () => {
      opened = new EventStream(response, {}, { stillAllowed: async () => {}, heartbeatMs: 20 });
    });
    response.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).catch(() => undefined); // it is cut off
  const stream = await until('the stream', () => opened);
  expect(stream.signal.aborted).toBe(true);
  stream.end();
});
