import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../../../src/entry/cli/exit.ts';
import { changedTable, orderFailure } from '../../../../src/entry/cli/views/changed.ts';
import type { ServiceState, ServiceStatus } from '../../../../src/lib/app/supervisor/status.ts';

const service = (name: string, state: ServiceState, more: Partial<ServiceStatus> = {}): ServiceStatus => ({
  name,
  kind: 'mcp',
  state,
  generation: 1,
  restarts: 0,
  ...more,
});
const failed = (name: string, lastErrorCode?: ServiceStatus['lastErrorCode']): ServiceStatus =>
  service(name, 'failed', {
    lastError: `${name} is broken`,
    ...(lastErrorCode === undefined ? {} : { lastErrorCode }),
  });

it.each([
  ['stop', { named: ['a'], services: [service('a', 'stopped')] }, 'Stopped a'],
  ['stop', { named: ['a'], already: ['a'], services: [service('a', 'stopped')] }, 'a was already stopped'],
  [
    'stop',
    { named: ['a'], services: [service('a', 'stopped'), service('b', 'stopped')] },
    'Stopped a. Stopped b too: it stands on a',
  ],
  [
    'stop',
    { named: ['a'], services: ['a', 'b', 'c'].map((name) => service(name, 'stopped')) },
    'Stopped a. Stopped b and c too: they stand on a',
  ],
  [
    'start',
    { named: ['a'], services: ['a', 'b', 'c'].map((name) => service(name, 'ready')) },
    'Started a. Started b and c too: a stands on them',
  ],
  [
    'start',
    { named: ['a', 'b'], already: ['a', 'd'], services: ['a', 'b', 'd'].map((name) => service(name, 'ready')) },
    'Started b. a was already running',
  ],
  ['restart', { services: [service('a', 'ready'), service('b', 'ready')] }, 'Restarted a and b'],
  ['start', { named: ['a'], pending: ['a'], services: [service('a', 'starting')] }, 'a is on the way'],
] as const)('%s %j is told as: %s', (verb, result, title) => {
  expect(changedTable(verb, { failed: [], ...result }).title).toBe(title);
});

it('says what stands on a restarted service', () => {
  const table = changedTable('restart', {
    named: ['database'],
    dependents: ['api', 'mcp:x'],
    services: [service('database', 'ready')],
    failed: [],
  });
  expect(table.notes).toEqual(['api and mcp:x stand on database, and were not restarted']);
});

describe('the exit code of an order that failed', () => {
  it('is 8 when a part was done, and both parts are named with reasons and the last lines', () => {
    const result = { named: ['a', 'b'], services: [service('a', 'ready'), failed('b', 'TIMEOUT')], failed: ['b'] };
    const error = orderFailure('start', result, ['last words']);
    expect(error).toMatchObject({
      code: 'PARTIAL',
      message: 'Failed to start b: b is broken',
      hint: 'Done: a. Not done: b.',
      next: ['infra services logs b', 'infra services status'],
      data: { failed: ['b'], succeeded: ['a'], log: ['last words'] },
    });
    expect(error && exitCodeOf(error)).toBe(8);
    expect(changedTable('start', result).items.map(({ name, state }) => [name, state])).toEqual([
      ['a', 'ready'],
      ['b', 'failed'],
    ]);
  });

  it.each([
    ['PORT_TAKEN', 6],
    ['TIMEOUT', 7],
    ['NOT_FOUND', 3],
    ['CONFIG_INVALID', 6],
    [undefined, 1],
  ] as const)('is that of the reason when nothing was done: %s gives %d', (code, exit) => {
    // What it stands on was started along and is ready: nobody asked for that by name.
    const services = [service('base', 'ready'), failed('a', code), failed('b', code)];
    const error = orderFailure('start', { named: ['a', 'b'], services, failed: ['a', 'b'] }, []);
    expect(error && exitCodeOf(error)).toBe(exit);
    expect(error?.message).toBe('Failed to start a: a is broken; b: b is broken');
  });

  it('is that of a conflict when a contrary order came meanwhile, and no log is named', () => {
    const services = [service('a', 'stopping')];
    const error = orderFailure('restart', { named: ['a'], services, failed: ['a'], overtaken: ['a'] }, []);
    expect(error).toMatchObject({
      code: 'CONFLICT',
      message: 'Failed to restart a: overtaken by a stop',
      next: ['infra services status'],
    });
  });

  it('is none when nothing failed', () => {
    expect(orderFailure('stop', { services: [service('a', 'stopped')], failed: [] }, [])).toBeUndefined();
  });
});
