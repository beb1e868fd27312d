import { expect, it } from 'vitest';
import type { Run } from '../../../../src/lib/app/supervisor/run.ts';
import { statusOf } from '../../../../src/lib/app/supervisor/service-status.ts';

const service = {
  name: 'api',
  spec: { kind: 'api' },
  state: 'starting',
  generation: 2,
  process: undefined,
  facts: { restarts: 1 },
  health: { status: () => undefined },
  resources: { status: () => undefined },
} as unknown as Parameters<typeof statusOf>[0];

const run = (ended: boolean) =>
  ({ pid: 11_556, ended, record: { port: 8080, instanceId: 'i', startedAt: new Date() } }) as unknown as Run;

it('has the pid and the port of a process only while there is one', () => {
  expect(statusOf(service, run(false), undefined)).toMatchObject({ pid: 11_556, port: 8080 });
  const gone = statusOf(service, run(true), undefined);
  expect(gone).not.toHaveProperty('pid');
  expect(gone).not.toHaveProperty('port');
});

it('names the last run, so that lines of others can be told from its own', () => {
  expect(statusOf(service, undefined, '/nowhere/api/some-id.log').lastInstanceId).toBe('some-id');
  expect(statusOf(service, undefined, undefined)).not.toHaveProperty('lastInstanceId');
});
