import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServiceEvent } from '../../src/lib/app/supervisor/event-types.ts';
import { startCli } from '../helpers/cli.ts';
import { openEventSource } from '../helpers/event-source.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem();
}, 120_000);
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

interface Table {
  readonly items: readonly ServiceEvent[];
}
const events = (...flags: string[]) => system.artifact<Table>('infra', 'services', 'events', ...flags);

it('lists what happened, newest last, narrowed by service, kind, type, time and number', async () => {
  const { items } = await events();
  expect(items.map(({ id }) => id)).toEqual(items.map(({ id }) => id).toSorted((a, b) => a - b));
  expect(items.filter(({ service }) => service === 'api').map(({ to_state }) => to_state)).toEqual([
    'starting',
    'ready',
  ]);
  const narrowed = await events('--service', 'mcp', '--service', 'api', '--type', 'ready', '--since', '1h');
  expect(narrowed.items.map(({ service, event }) => `${service} ${event}`).toSorted()).toEqual([
    'api healthy',
    'mcp:systemprompt healthy',
  ]);
  expect((await events('--limit', '1')).items).toEqual(items.slice(-1));
  const text = await system.run('infra', 'services', 'events', '--service', 'api');
  expect(text.stdout).toMatch(/^AT +SERVICE +FROM +TO +EVENT/);
  const unknown = await system.run('infra', 'services', 'events', '--service', 'apo');
  expect(unknown.code).toBe(3);
  expect(unknown.stderr).toContain('Did you mean api?');
});

it('follows live, as lines and as JSON lines with the envelope last; the API tells the same', async () => {
  const child = startCli(['infra', 'services', 'events', '--follow', '--json', '--limit', '1'], {
    cwd: system.instance.root,
  });
  let stdout = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  const lines = () =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  await until('the past', () => lines().length === 1, 30_000);
  const token = await system.token();
  const source = await openEventSource({
    host: '127.0.0.1',
    port: Number(new URL(system.url).port),
    path: '/api/v1/services/events?service=mcp',
    headers: { authorization: `Bearer ${token}` },
  });
  expect(source.status).toBe(200);
  expect((await system.run('infra', 'services', 'stop', 'mcp:systemprompt')).code).toBe(0);
  await until('the stop', () => lines().some(({ to_state }) => to_state === 'stopped'), 30_000);
  await until('the stop at the API', () => source.messages.length === 2);
  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode).toBe(130);
  const [first, ...rest] = lines();
  expect(first).toMatchObject({ id: expect.any(Number), service: expect.any(String) });
  expect(rest.at(-1)).toEqual({ ok: true, artifact: { type: 'text', content: '3 events.', data: { count: 3 } } });
  expect(source.messages.map(({ data }) => JSON.parse(data))).toEqual(rest.slice(0, -1));

  // The stream is no reason for the API to stay.
  expect((await system.run('infra', 'services', 'restart', 'api')).code).toBe(0);
  await source.ended;
});

it('watch without a terminal prints lines, says when the supervisor is gone, and goes on with the next one', async () => {
  const child = startCli(['infra', 'services', 'watch', '--json'], { cwd: system.instance.root });
  let stdout = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  const lines = () =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  await until('the first picture', () => lines().length === 1, 30_000);
  const [first] = lines();
  expect(first).toMatchObject({ type: 'connected', services: expect.any(Array) });
  process.kill(first.supervisor.pid, 'SIGKILL');
  await until('the loss', () => lines().some(({ type }) => type === 'lost'), 30_000);
  expect((await system.run('infra', 'services', 'start')).code).toBe(0);
  await until('the next', () => lines().some(({ type }) => type === 'ready'), 30_000);
  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode).toBe(130);
  const types = lines().map(({ type }) => type);
  expect(types.indexOf('lost')).toBeLessThan(types.lastIndexOf('connected'));
  // It was found running: nobody started it again.
  expect(lines().filter(({ type, event }) => type === 'transition' && event === 'adopt').length).toBeGreaterThan(1);
  expect(lines().at(-1)).toMatchObject({ ok: true, artifact: { type: 'text', data: { count: expect.any(Number) } } });
});
