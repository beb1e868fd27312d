import { request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, type TestGateway } from './gateway.ts';

let test: TestGateway;
beforeAll(async () => {
  test = await openTestGateway();
});
afterAll(() => test.close());

it('closing ends streams, waits for calls that run, refuses new ones, and breaks off what takes too long', async () => {
  const stream = request({
    host: '127.0.0.1',
    port: test.port,
    path: '/api/v1/mcp/alpha/mcp',
    headers: { authorization: `Bearer ${test.bearer}`, accept: 'text/event-stream' },
  });
  stream.end();
  const ended = new Promise<string>((resolve, reject) => {
    stream.on('error', reject).on('response', (res) => {
      res
        .resume()
        .on('end', () => resolve('end'))
        .on('error', reject);
    });
  });
  await until('the stream is open', async () => (await test.seen()).openStreams === 1);
  const short = test.call('slow', { ms: 200 });
  const long = test.call('never', { which: 'long' });
  await until('both run', async () => (await test.executed()).length === 2);
  const closed = test.gateway.router.close(600);
  expect(await ended).toBe('end');
  const late = await test.call('echo');
  expect(late.status).toBe(503);
  expect(await test.rowOf(late)).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/shutting down/) as string,
  });
  expect((await short).status).toBe(200);
  const broken = await long;
  expect(await test.rowOf(broken)).toMatchObject({ status: 'cancelled' });
  await closed;
});
