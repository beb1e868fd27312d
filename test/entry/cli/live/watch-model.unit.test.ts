import { expect, it } from 'vitest';
import {
  emptyWatch,
  pressed,
  type WatchModel,
  withEvent,
  withLogLine,
  withoutSupervisor,
  withStatus,
} from '../../../../src/entry/cli/live/watch-model.ts';
import type {
  InstanceStatus,
  ServiceState,
  ServiceStatus,
  SupervisorEvent,
} from '../../../../src/lib/app/supervisor/status.ts';

const at = '2026-11-21T12:00:00.000Z';
const service = (name: string, state: ServiceState = 'ready'): ServiceStatus => ({
  name,
  kind: 'mcp',
  state,
  generation: 1,
  restarts: 0,
});
const status = (...services: ServiceStatus[]): InstanceStatus => ({
  instanceId: 'i',
  root: '/r',
  profile: 'local',
  supervisor: { pid: 41, version: '1', epoch: 1, startedAt: at, state: 'running', rss: 1, acting: true },
  url: 'http://localhost:8080',
  services,
  phases: [],
});
const transition = (name: string, to: ServiceState, reason?: string): SupervisorEvent => ({
  type: 'transition',
  seq: 1,
  at,
  service: name,
  from: 'ready',
  to,
  event: 'died',
  ...(reason === undefined ? {} : { reason }),
  status: service(name, to),
});

const model = withStatus(emptyWatch, status(service('a'), service('b', 'stopped'), service('c')));
const press = (from: WatchModel, ...keys: string[]) =>
  keys.reduce<ReturnType<typeof pressed>>((last, key) => pressed(last.model, key), { model: from });

it('arrows select and stop at both ends; who is selected stays so when others come', () => {
  expect(model.selected).toBe('a');
  expect(press(model, 'up').model.selected).toBe('a');
  expect(press(model, 'down', 'j').model.selected).toBe('c');
  expect(press(model, 'down', 'down', 'down', 'k').model.selected).toBe('b');
  const chosen = press(model, 'down').model;
  expect(withStatus(chosen, status(service('0'), service('b'), service('c'))).selected).toBe('b');
  expect(withStatus(chosen, status(service('c'))).selected).toBe('c');
});

it('a stop is asked about first, a start and a restart are not', () => {
  const asked = press(model, 's');
  expect(asked).toMatchObject({ model: { asking: 'a' } });
  expect(asked.action).toBeUndefined();
  expect(press(asked.model, 'y')).toMatchObject({ action: { type: 'stop', service: 'a' } });
  for (const key of ['n', 'escape', 's', 'q', 'r']) {
    const answer = press(asked.model, key);
    expect(answer.action).toBeUndefined();
    expect(answer.model).toMatchObject({ asking: undefined, message: 'a was not stopped' });
  }
  expect(press(model, 'down', 's').action).toEqual({ type: 'start', service: 'b' });
  expect(press(model, 'r').action).toEqual({ type: 'restart', service: 'a' });
  expect(press(asked.model, 'ctrl-c').action).toEqual({ type: 'interrupt' });
  expect(press(model, 'q').action).toEqual({ type: 'quit' });
  expect(press(model, 'x')).toEqual({ model });
});

it('l follows the output of the selected service and ends it again', () => {
  const followed = press(model, 'l');
  expect(followed.action).toEqual({ type: 'logs', service: 'a' });
  const told = withLogLine(withLogLine(followed.model, 'a', 'one'), 'b', 'not ours');
  expect(told.logs).toEqual({ service: 'a', lines: ['one'] });
  expect(press(told, 'l')).toMatchObject({ model: { logs: undefined }, action: { type: 'no_logs' } });
  expect(press(told, 'escape')).toMatchObject({ model: { logs: undefined }, action: { type: 'no_logs' } });
  expect(press(told, 'down', 'l').action).toEqual({ type: 'logs', service: 'b' });
});

it('an event changes its service and counts its deaths; one of the past changes no state', () => {
  const died = withEvent(model, transition('a', 'backoff', 'why'));
  expect(died.services[0]?.state).toBe('backoff');
  expect(died.deaths.get('a')).toEqual([Date.parse(at)]);
  expect(died.events.at(-1)).toMatch(/^\d\d:\d\d:\d\d {2}a backoff: why$/);
  const past = withEvent(model, transition('a', 'failed'), true);
  expect(past.services[0]?.state).toBe('ready');
  expect(past.deaths.get('a')).toHaveLength(1);
});

it('without a supervisor nothing is ordered, and a question is void', () => {
  const gone = withoutSupervisor(press(model, 's').model, at);
  expect(gone).toMatchObject({ connected: false, asking: undefined });
  expect(gone.events.at(-1)).toContain('the supervisor is gone');
  for (const key of ['r', 's']) {
    expect(press(gone, key)).toMatchObject({ model: { message: 'No supervisor answers' } });
    expect(press(gone, key).action).toBeUndefined();
  }
  expect(press(emptyWatch, 'r', 's', 'l', 'up', 'down').action).toBeUndefined();
});
