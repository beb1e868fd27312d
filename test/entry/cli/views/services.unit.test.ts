import { expect, it } from 'vitest';
import { servicesTable } from '../../../../src/entry/cli/views/services.ts';
import { startedCard } from '../../../../src/entry/cli/views/started.ts';
import type { BootState, InstanceStatus } from '../../../../src/lib/app/supervisor/status.ts';
import { artifactText } from '../../../../src/lib/shared/artifact-text.ts';

const status = (state: BootState, url: string, port?: number): InstanceStatus => ({
  instanceId: 'i',
  root: '/r',
  profile: 'local',
  supervisor: { pid: 41, version: '1', epoch: 1, startedAt: '', state, rss: 1, acting: true },
  url,
  services: [
    {
      name: 'api',
      kind: 'api',
      state: 'ready',
      generation: 1,
      restarts: 0,
      ...(port === undefined ? {} : { port }),
    },
  ],
  phases: [],
});

it('the title of status is never an empty address: a boot that failed has none', () => {
  const titles = (['running', 'booting', 'failed', 'stopping'] as const).map(
    (state) => servicesTable(status(state, state === 'running' ? 'http://localhost:8080' : '')).title,
  );
  expect(titles).toEqual([
    'http://localhost:8080 (supervisor 41)',
    'Starting (supervisor 41)',
    'The start has failed, what was begun is being stopped (supervisor 41)',
    'Stopping (supervisor 41)',
  ]);
});

it.each([
  [8080, 8080, undefined],
  [undefined, 8080, undefined],
  [8090, 8080, 8090],
  [8090, undefined, 8090],
])('--port %s on an instance at port %s: not applied is %s', (port, actual, expected) => {
  const facts = { title: 't', phases: [], runnable: (command: string) => `sp ${command}`, foreground: false, port };
  const card = startedCard({ ...facts, status: status('running', 'http://localhost:8080', actual) });
  expect(card.data?.['port_not_applied']).toBe(expected);
  const text = JSON.stringify(card.sections);
  expect(text.includes('Port 8080 stays: --port 8090 was not applied')).toBe(expected !== undefined);
  expect(text.includes('sp infra services start --port 8090')).toBe(expected !== undefined);
});

it('a port that did not stay is not said to have stayed', () => {
  const runnable = (command: string) => `sp ${command}`;
  const facts = { title: 't', phases: [], runnable, foreground: false, port: 8090 };
  const before = status('running', 'http://localhost:8090', 8090);
  const card = startedCard({ ...facts, before, status: status('running', 'http://localhost:8080', 8080) });
  const text = JSON.stringify(card.sections);
  expect(text).toContain('The API went from 8090 to 8080: --port 8090 was not applied');
  expect(text).not.toContain('stays');
});

it('stays a table of 80 columns when a service has failed, its reason below; times of its dead run are not shown', () => {
  const at = '2026-11-21T12:00:00.000Z';
  const run = { generation: 1, restarts: 5, startedAt: at, readyAt: at, readyMs: 812 };
  const table = servicesTable({
    ...status('running', 'http://localhost:8080'),
    services: [
      { name: 'api', kind: 'api', state: 'ready', pid: 101, port: 8080, ...run },
      {
        name: 'mcp:systemprompt',
        kind: 'mcp',
        state: 'failed',
        ...run,
        lastError: `it ended ${'at once '.repeat(20)}`,
      },
    ],
  });
  expect(table.items.map(({ ready_in, since }) => [ready_in, since])).toEqual([
    [812, at],
    [null, null],
  ]);
  const lines = artifactText(table, { width: 80 }).split('\n');
  expect(lines[1]).toMatch(/^SERVICE +STATE +PID +PORT +READY IN +SINCE +RESTARTS$/);
  expect(lines[3]).toMatch(/^mcp:systemprompt +failed[ –]+5$/);
  expect(lines[5]).toMatch(/^mcp:systemprompt: it ended at once/);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
});

it('a service that has failed is shown with its last words, to those who may read logs', () => {
  const running = status('running', 'http://localhost:8080', 8080);
  const [service] = running.services;
  if (service === undefined) throw new Error('no service');
  const log = ['{"level":"error","msg":"no licence"}', 'goodbye'];
  const failed = { ...running, services: [{ ...service, state: 'failed' as const, lastError: 'it ended', log }] };
  const { name } = service;
  expect(servicesTable(failed, { withLogs: true }).notes).toEqual([
    `${name}: it ended`,
    `${name} printed: error: no licence`,
    `${name} printed: goodbye`,
  ]);
  expect(servicesTable(failed).notes).toEqual([`${name}: it ended`]);
});

it('a start shows the link for the first passkey to eyes alone', () => {
  const ownerLink = 'http://localhost:8080/auth/owner?token=t';
  const card = startedCard({
    status: status('running', 'http://localhost:8080', 8080),
    title: 'Running',
    phases: [],
    runnable: (command) => command,
    foreground: false,
    ownerLink,
  });
  expect(artifactText(card, { width: 120 })).toContain(`  ${ownerLink}`);
  expect(JSON.stringify(card.data)).not.toContain('token');
});
