import { expect, it } from 'vitest';
import { servicesTable } from '../../../../src/entry/cli/views/services.ts';
import { startedCard } from '../../../../src/entry/cli/views/started.ts';
import type { BootState, InstanceStatus } from '../../../../src/lib/app/supervisor/status.ts';

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
