import { expect, it } from 'vitest';
import { type FaultKind, faultKinds, planFaults } from './plan.ts';

function first(seed: number, count: number, only: readonly FaultKind[] = []) {
  const plan = planFaults(seed, only);
  return Array.from({ length: count }, () => plan.next().value);
}

it('gives the same faults for the same seed, and others for another', () => {
  expect(first(7, 200)).toEqual(first(7, 200));
  expect(first(8, 200)).not.toEqual(first(7, 200));
});

it('comes to every kind of fault, and does not always wait for the end of one', () => {
  const faults = first(1, 1_000);
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(Object.keys(faultKinds)));
  expect(faults.filter(({ burst }) => burst).length).toBeGreaterThan(150);
  expect(faults.every(({ pick }) => pick >= 0 && pick < 1)).toBe(true);
});

it('keeps to the kinds it was given', () => {
  const kinds = first(1, 50, ['kill-api', 'start-race']).map(({ kind }) => kind);
  expect(new Set(kinds)).toEqual(new Set(['kill-api', 'start-race']));
});
