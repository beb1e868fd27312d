import type { ServiceState } from './status.ts';

/**
 * The life of a service as data. `generation` counts runs: whatever was set going for one run (a timer, a probe, the
 * watch over its process) reports with that run's number and is ignored once another has begun or taken its place.
 */
export interface MachineState {
  readonly name: ServiceState;
  readonly generation: number;
}

/** Orders come from people and the supervisor at any time. */
export type Order =
  /** Begin a new run. */
  | 'start'
  /** A run of an earlier supervisor was found healthy and is taken over. */
  | 'adopt'
  /** End the run. */
  | 'stop';

/** Observations concern one run and carry its generation. */
export type Observation =
  /** The health check answered with this run's id. */
  | 'healthy'
  /** Several health checks in a row went unanswered. */
  | 'unhealthy'
  /** The process ended (or was ended for being unhealthy) and another try is due after a pause. */
  | 'died'
  /** The pause is over. */
  | 'retry'
  /** The process was stopped as ordered. */
  | 'gone'
  /** A successor answered its health check beside this run and has taken its place; what is left of this run is drained. */
  | 'replaced'
  /** No further try: a crash loop, a ready timeout, an invalid configuration, a foreign port, an unkillable process. */
  | 'gave_up';

export type MachineEvent = { readonly type: Order } | { readonly type: Observation; readonly generation: number };

export const initialState: MachineState = { name: 'stopped', generation: 0 };

const transitions: Readonly<Record<ServiceState, Readonly<Partial<Record<Order | Observation, ServiceState>>>>> = {
  stopped: { start: 'starting', adopt: 'ready' },
  starting: { healthy: 'ready', died: 'backoff', gave_up: 'failed', stop: 'stopping' },
  ready: { unhealthy: 'unhealthy', died: 'backoff', gave_up: 'failed', stop: 'stopping', replaced: 'ready' },
  unhealthy: { healthy: 'ready', died: 'backoff', gave_up: 'failed', stop: 'stopping', replaced: 'ready' },
  // The run may die while its successor is on the way: then that one ends the pause.
  backoff: { retry: 'starting', start: 'starting', gave_up: 'failed', stop: 'stopped', replaced: 'ready' },
  stopping: { gone: 'stopped', gave_up: 'failed' },
  // What could not be ended may still be there.
  failed: { start: 'starting', stop: 'stopping' },
};

/**
 * The next state, or `undefined` when the event means nothing in this state: it came too late, or it concerns a run that
 * is over. Pure: no clock, no chance, no effect.
 */
export function transition(state: MachineState, event: MachineEvent): MachineState | undefined {
  if ('generation' in event && event.generation !== state.generation) return undefined;
  const name = transitions[state.name][event.type];
  if (name === undefined) return undefined;
  const another = name === 'starting' || event.type === 'replaced';
  return { name, generation: another ? state.generation + 1 : state.generation };
}
