import { describe, expect, it } from 'vitest';
import { eventLine } from '../../../../src/entry/cli/live/plain.ts';
import { advance, emptyView, phasesFrom, refreshed } from '../../../../src/entry/cli/live/startup.ts';
import type { ServiceStatus, SupervisorEvent } from '../../../../src/lib/app/supervisor/status.ts';

const service = (name: string, facts: Partial<ServiceStatus> = {}): ServiceStatus => ({
  name,
  kind: 'api',
  state: 'starting',
  generation: 1,
  restarts: 0,
  ...facts,
});

const transition = (status: ServiceStatus, reason?: string): SupervisorEvent => ({
  seq: 1,
  at: '2026-01-01T00:00:00.000Z',
  type: 'transition',
  service: status.name,
  from: 'stopped',
  to: status.state,
  event: 'x',
  status,
  ...(reason === undefined ? {} : { reason }),
});

describe('the view of a start', () => {
  it('keeps services in the order in which they appeared', () => {
    const steps = [service('database'), service('api'), service('database', { state: 'ready', pid: 7 })];
    const view = steps.reduce((last, status) => advance(last, transition(status)), emptyView([]));
    expect(view.services.map(({ name, state }) => `${name} ${state}`)).toEqual(['database ready', 'api starting']);
  });

  it('takes over what is newer in a status', () => {
    const view = refreshed(advance(emptyView([]), transition(service('api'))), [service('api', { lastLog: 'hello' })]);
    expect(view.services).toEqual([service('api', { lastLog: 'hello' })]);
  });

  it('collects the phases of the wrapper and of the supervisor', () => {
    const before = phasesFrom({ SYSTEMPROMPT_PHASES: '[{"name":"install","ms":12}]' });
    const view = advance(emptyView(before), { seq: 1, at: '', type: 'phase', name: 'migrate', ms: 3 });
    expect(view.phases).toEqual([
      { name: 'install', ms: 12 },
      { name: 'migrate', ms: 3 },
    ]);
  });

  it.each(['', '{', 'null', '[1,{"name":"x"}]'])('ignores phases that are none: %j', (text) => {
    expect(phasesFrom({ SYSTEMPROMPT_PHASES: text })).toEqual([]);
  });
});

describe('a line for an event', () => {
  it('tells how a service became ready', () => {
    const ready = service('api', { state: 'ready', pid: 12, port: 8080, readyMs: 345 });
    expect(eventLine(transition(ready))).toBe('api ready: in 345 ms, pid 12, port 8080');
    expect(eventLine(transition({ ...ready, adopted: true }))).toContain('found running');
    expect(eventLine(transition({ ...ready, detail: 'runs as user systemprompt' }))).toMatch(
      /8080, runs as user systemprompt$/,
    );
  });

  it('tells of a service that is up only whether it serves, without the time of its start', () => {
    const up = service('api', { state: 'ready', pid: 12, port: 8080, readyMs: 2_120 });
    const turned = (event: string, reason?: string) =>
      eventLine({ ...transition(up, reason), from: 'ready', event } as SupervisorEvent);
    expect(turned('not_serving', 'its database is away')).toBe('api not serving: its database is away');
    expect(turned('serving')).toBe('api serving again');
    expect(turned('replaced')).toBe('api ready: in 2.12 s, pid 12, port 8080');
    expect(eventLine({ ...transition(up), from: 'unhealthy' } as SupervisorEvent)).toBe('api ready: pid 12, port 8080');
  });

  it('names no process of a start: there is none yet', () => {
    expect(eventLine(transition(service('api', { pid: 11_556 })))).toBe('api starting');
  });

  it('tells why one failed, without what a terminal would obey', () => {
    expect(eventLine(transition(service('api', { state: 'failed' }), 'port\u001B[2J taken'))).toBe(
      'api failed: port taken',
    );
  });
});
