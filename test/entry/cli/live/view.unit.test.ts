import { expect, it } from 'vitest';
import { emptyView, refreshed } from '../../../../src/entry/cli/live/startup.ts';
import { LiveView } from '../../../../src/entry/cli/live/view.ts';
import type { ServiceStatus } from '../../../../src/lib/app/supervisor/status.ts';
import { FakeTerminal } from '../../../helpers/fake-terminal.ts';

const services: ServiceStatus[] = [
  {
    name: 'database',
    kind: 'database',
    state: 'ready',
    pid: 101,
    port: 5433,
    readyMs: 812,
    generation: 1,
    restarts: 0,
    lastLog: 'database system is ready to accept connections',
  },
  {
    name: 'api',
    kind: 'api',
    state: 'failed',
    generation: 1,
    restarts: 5,
    lastError: `port 8080 is taken\u001B[2J by ${'x'.repeat(200)}`,
  },
];

it.each([80, 120])('draws a row a service, no wider than %d columns', async (columns) => {
  const terminal = new FakeTerminal(columns);
  const first = emptyView([{ name: 'install', ms: 1234 }]);
  const live = new LiveView(terminal as never, first);
  live.show(refreshed({ ...first, message: 'starting as the user postgres' }, services));
  const lines = await terminal.until('starting as the user postgres');
  await live.close();
  const database = lines.find((line) => line.includes('database'));
  expect(database).toMatch(/● database {2}ready {5}pid 101 {5}port 5433 {2}812 ms/);
  expect(lines.find((line) => line.includes('✗ api'))).toMatch(/failed .*port 8080/);
  expect(lines.some((line) => line.includes('install 1.23 s'))).toBe(true);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  expect(terminal.text).not.toContain('\u001B[2J by');
});

it.each([40, 60, 80, 120])(
  'keeps a service on one line of a terminal of %d columns, whatever happens',
  async (columns) => {
    const terminal = new FakeTerminal(columns);
    const first = emptyView([
      { name: 'install', ms: 1234 },
      { name: 'build', ms: 2345 },
      { name: 'database', ms: 812 },
      { name: 'services', ms: 0.2 },
    ]);
    const live = new LiveView(terminal as never, first);
    live.show(refreshed({ ...first, message: `starting ${'y'.repeat(200)}` }, services));
    const lines = await terminal.until('starting');
    await live.close();
    const frame = lines.slice(lines.findIndex((line) => line.includes('● database')));
    const [database = '', api = '', message = '', ...rest] = frame;
    expect(database).toMatch(/^● database {2}ready /);
    expect(database).toContain('port 5433');
    expect(database.includes('pid 101')).toBe(columns >= 60);
    expect(database.includes('812 ms')).toBe(columns >= 60);
    expect(database.includes('database sys')).toBe(columns >= 80);
    expect(api).toMatch(/^✗ api {7}failed {4}port 8080/);
    expect(message).toMatch(/^starting y+/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    // Times are broken between phases only, and what took no time is not told.
    const times = rest.filter((line) => line.includes('install') || line.includes('database')).join('\n');
    expect(times).toMatch(/install 1\.23 s · build 2\.35 s(?: · |\n)database 812 ms/);
    expect(terminal.text).not.toContain('services');
  },
);

it('says as whom PostgreSQL runs when it is not the caller', async () => {
  const terminal = new FakeTerminal(80);
  const detail = 'PostgreSQL runs as user systemprompt, since it refuses to run as root';
  const told = services.map((service) => (service.name === 'database' ? { ...service, detail } : service));
  const live = new LiveView(terminal as never, refreshed(emptyView([]), told));
  expect((await terminal.until(detail)).join('\n')).toContain('● database');
  await live.close();
});
