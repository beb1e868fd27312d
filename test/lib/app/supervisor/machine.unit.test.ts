import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  initialState,
  type MachineEvent,
  type MachineState,
  transition,
} from '../../../../src/lib/app/supervisor/machine.ts';
import type { ServiceState } from '../../../../src/lib/app/supervisor/status.ts';

/** Every pair of states that may follow each other, written down apart from the machine. */
const legal = new Set([
  'stopped>starting',
  'stopped>ready',
  'starting>ready',
  'starting>backoff',
  'starting>failed',
  'starting>stopping',
  'ready>ready',
  'ready>unhealthy',
  'ready>backoff',
  'ready>failed',
  'ready>stopping',
  'unhealthy>ready',
  'unhealthy>backoff',
  'unhealthy>failed',
  'unhealthy>stopping',
  'backoff>starting',
  'backoff>ready',
  'backoff>failed',
  'backoff>stopped',
  'stopping>stopped',
  'stopping>failed',
  'failed>starting',
  'failed>stopping',
]);

const orders = ['start', 'adopt', 'stop'] as const;
const observations = ['healthy', 'unhealthy', 'died', 'retry', 'gone', 'gave_up', 'replaced'] as const;

/** Observations carry how many generations they are late; some come from the future, which never happens and must not matter. */
const step = fc.oneof(
  fc.constantFrom(...orders).map((type) => ({ type, late: 0 })),
  fc.record({ type: fc.constantFrom(...observations), late: fc.constantFrom(0, 0, 0, 1, 2, -1) }),
);

function event(state: MachineState, { type, late }: { type: MachineEvent['type']; late: number }): MachineEvent {
  return orders.some((order) => order === type)
    ? { type: type as (typeof orders)[number] }
    : { type: type as (typeof observations)[number], generation: state.generation - late };
}

describe('the state machine of a service', () => {
  it('never reaches an illegal state in 10,000 random sequences', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state = initialState;
        for (const wanted of steps) {
          const next = transition(state, event(state, wanted));
          if (next === undefined) continue;
          expect(legal).toContain(`${state.name}>${next.name}`);
          // To stay ready, or to come to it from a pause, takes a successor; and that is all a successor does.
          const bySuccessor = next.name === 'ready' && ['ready', 'backoff'].includes(state.name);
          const another = next.name === 'starting' || wanted.type === 'replaced';
          if (bySuccessor) expect(wanted.type).toBe('replaced');
          if (wanted.type === 'replaced') expect(next.name).toBe('ready');
          expect(next.generation).toBe(state.generation + Number(another));
          state = next;
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('ignores whatever an earlier run still has to say', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(...observations),
        fc.integer({ min: 1, max: 9 }),
        (steps, type, late) => {
          const state = run(steps);
          expect(transition(state, { type, generation: state.generation - late })).toBeUndefined();
          expect(transition(state, { type, generation: state.generation + late })).toBeUndefined();
        },
      ),
    );
  });

  it('starts nothing after a stop until somebody orders a start', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 60 }), (before, after) => {
        let state = run([...before, { type: 'stop' as const, late: 0 }]);
        for (const wanted of after.filter(({ type }) => type !== 'start' && type !== 'adopt')) {
          state = transition(state, event(state, wanted)) ?? state;
          expect(['stopping', 'stopped', 'failed']).toContain(state.name);
        }
      }),
    );
  });

  it('takes a successor once, for the run that it was started beside, and never after an order to stop', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 60 }), (before, meanwhile) => {
        const began = run(before);
        const replaced = { type: 'replaced', generation: began.generation } as const;
        let state = began;
        for (const wanted of meanwhile) state = transition(state, event(state, wanted)) ?? state;
        const after = transition(state, replaced);
        const same = state.generation === began.generation;
        expect(after !== undefined).toBe(same && ['ready', 'unhealthy', 'backoff'].includes(state.name));
        if (after !== undefined) expect(transition(after, replaced)).toBeUndefined();
      }),
    );
  });

  it('leads from every state back to ready, and to stopped', () => {
    const states: ServiceState[] = ['stopped', 'starting', 'ready', 'unhealthy', 'backoff', 'stopping', 'failed'];
    for (const name of states) {
      expect(reachable({ name, generation: 1 })).toEqual(new Set(states));
    }
  });
});

function run(steps: readonly { type: MachineEvent['type']; late: number }[]): MachineState {
  return steps.reduce((state, wanted) => transition(state, event(state, wanted)) ?? state, initialState);
}

function reachable(from: MachineState): Set<ServiceState> {
  const found = new Set<ServiceState>([from.name]);
  const open: MachineState[] = [from];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const type of [...orders, ...observations]) {
      const next = transition(state, event(state, { type, late: 0 }));
      if (next === undefined || found.has(next.name)) continue;
      found.add(next.name);
      open.push(next);
    }
  }
  return found;
}
