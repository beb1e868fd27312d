import { describe, expect, it } from 'vitest';
import { type LiveService, planLive } from '../../../../src/lib/app/supervisor/live-plan.ts';

const digests = { artefactHash: 'x', configHash: 'y' };
const spec = { name: 'a', dependsOn: [] as string[], ...digests };
const running: LiveService = {
  name: 'a',
  state: 'ready',
  onPurpose: false,
  spec: digests,
  process: digests,
  standIn: false,
};
const failed: LiveService = { ...running, state: 'failed', process: undefined };
const changed = { ...spec, configHash: 'z' };

function plan(services: readonly LiveService[], specs = [spec]): string[] {
  return planLive(specs, services, [], []).map(({ kind, name, reason }) => `${kind} ${name}: ${reason}`);
}

describe('the plan of a live reconcile', () => {
  it('starts what is new and ends what is gone, that first', () => {
    expect(plan([running], [{ ...spec, name: 'b' }])).toEqual([
      'end a: it is no longer configured',
      'drop a: it is no longer configured',
      'start b: it is new',
    ]);
    expect(plan([failed], [])).toEqual(['drop a: it is no longer configured']);
  });

  it.each([
    ['its configuration', changed],
    ['its artefact', { ...spec, artefactHash: 'z' }],
  ])('replaces what has changed: %s', (what, current) => {
    expect(plan([running], [current])).toEqual([`replace a: ${what} has changed`]);
    expect(plan([{ ...running, state: 'unhealthy' }], [current])).toEqual([`replace a: ${what} has changed`]);
    expect(plan([{ ...running, state: 'backoff', process: undefined }], [current])).toEqual([
      `replace a: ${what} has changed`,
    ]);
  });

  it('goes by what the process was started from, not by what was configured since', () => {
    expect(plan([{ ...running, spec: { ...digests, configHash: 'z' } }], [changed])).toEqual([
      'replace a: its configuration has changed',
    ]);
  });

  it('keeps what is the same', () => {
    expect(plan([running])).toEqual(['keep a: it is current']);
    expect(plan([{ ...running, state: 'starting' }])).toEqual(['keep a: it is current, and starting']);
  });

  it('starts what has failed only when something about it has changed', () => {
    expect(plan([failed])).toEqual(['keep a: it has failed, and nothing about it has changed']);
    expect(plan([failed], [changed])).toEqual(['start a: its configuration has changed']);
    expect(plan([{ ...failed, standIn: true }])).toEqual(['start a: the configuration is valid again']);
  });

  it('gives another chance to what failed for want of another service', () => {
    const b = { ...failed, name: 'b' };
    const needs = { ...spec, name: 'b', dependsOn: ['a'] };
    expect(plan([failed, b], [changed, needs])).toEqual([
      'start a: its configuration has changed',
      'start b: a, which it needs, is started',
    ]);
    expect(plan([running, b], [spec, needs])[1]).toContain('keep b');
  });

  it('leaves stopped what somebody stopped', () => {
    expect(plan([{ ...failed, state: 'stopped', onPurpose: true }], [changed])).toEqual([
      'keep a: somebody stopped it',
    ]);
    expect(plan([{ ...failed, state: 'stopped' }])).toEqual(['start a: it is configured']);
  });

  it('ends strays and goes on with what the rows ask for', () => {
    const clear = { kind: 'clear', name: 'd', reason: 'its process 7 is gone' } as const;
    expect(
      planLive([spec], [running], [clear], [{ service: 's', pid: 8 }]).map(({ kind, name }) => `${kind} ${name}`),
    ).toEqual(['clear d', 'end s', 'keep a']);
  });
});
