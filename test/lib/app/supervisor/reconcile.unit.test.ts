import { describe, expect, it } from 'vitest';
import { type Observed, planReconcile } from '../../../../src/lib/app/supervisor/reconcile.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';

const spec = { name: 'a', artefactHash: 'x', configHash: 'y' };
const running: Observed = {
  name: 'a',
  instanceId: 'i' as ServiceInstanceId,
  identity: { bootId: 'b', pid: 7, startTicks: '1' },
  port: 1,
  artefactHash: 'x',
  configHash: 'y',
  desired: 'running',
  ours: true,
  healthy: true,
};

function plan(observed: readonly Observed[], specs = [spec]): string[] {
  return planReconcile(specs, observed).map(({ kind, name }) => `${kind} ${name}`);
}

describe('the plan of a reconcile', () => {
  it('adopts what is ours, healthy and current', () => {
    expect(plan([running])).toEqual(['adopt a']);
  });
  it.each([
    ['an outdated artefact', { artefactHash: 'old' }],
    ['another configuration', { configHash: 'old' }],
    ['no health', { healthy: false }],
  ])('replaces what has %s', (_, change) => {
    expect(plan([{ ...running, ...change }])).toEqual(['end a', 'start a']);
  });
  it('never ends what is not ours: it is cleared and started anew', () => {
    expect(plan([{ ...running, ours: false }])).toEqual(['clear a', 'start a']);
  });
  it('starts what is on record without a process', () => {
    expect(plan([{ ...running, identity: undefined, ours: false }])).toEqual(['start a']);
  });
  it('leaves stopped what somebody stopped', () => {
    expect(plan([{ ...running, identity: undefined, ours: false, desired: 'stopped' }])).toEqual([]);
    expect(plan([{ ...running, desired: 'stopped' }])).toEqual(['end a']);
  });
  it('ends and drops what is no longer configured', () => {
    expect(plan([running], [])).toEqual(['end a', 'drop a']);
    expect(plan([{ ...running, ours: false }], [])).toEqual(['clear a', 'drop a']);
  });
});
