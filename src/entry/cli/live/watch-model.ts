import type { InstanceStatus, ServiceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import type { Key } from './keys.ts';
import { eventLine } from './plain.ts';

/** All that the view of `watch` shows; a value, changed by what is told and by keys only. */
export interface WatchModel {
  readonly status: InstanceStatus | undefined;
  readonly services: readonly ServiceStatus[];
  /** Whether a supervisor answers. */
  readonly connected: boolean;
  /** Name of the service that the keys are about. */
  readonly selected: string | undefined;
  /** The last events as lines, oldest first. */
  readonly events: readonly string[];
  /** When each service went down by itself, in ms since the epoch. */
  readonly deaths: ReadonlyMap<string, readonly number[]>;
  /** The service whose output is followed, and its last lines. */
  readonly logs: { readonly service: string; readonly lines: readonly string[] } | undefined;
  /** The service that is about to be stopped, while that is not confirmed. */
  readonly asking: string | undefined;
  /** What became of the last order. */
  readonly message: string | undefined;
}

export type WatchAction =
  | { readonly type: 'start' | 'stop' | 'restart' | 'logs'; readonly service: string }
  | { readonly type: 'no_logs' | 'quit' | 'interrupt' };

const keptLines = 200;

export const emptyWatch: WatchModel = {
  status: undefined,
  services: [],
  connected: false,
  selected: undefined,
  events: [],
  deaths: new Map(),
  logs: undefined,
  asking: undefined,
  message: undefined,
};

/** The model with the statuses as a supervisor has them now. */
export function withStatus(model: WatchModel, status: InstanceStatus): WatchModel {
  const { services } = status;
  const there = services.some(({ name }) => name === model.selected);
  return { ...model, status, services, connected: true, selected: there ? model.selected : services[0]?.name };
}

/**
 * The model after an event of the supervisor.
 *
 * @param past whether the statuses are newer than the event, so that it is history alone
 */
export function withEvent(model: WatchModel, event: SupervisorEvent, past = false): WatchModel {
  const line = eventLine(event);
  const events = line === undefined ? model.events : [...model.events, `${clock(event.at)}  ${line}`].slice(-keptLines);
  if (event.type !== 'transition') return { ...model, events };
  const { service, status, to } = event;
  const index = past ? -1 : model.services.findIndex(({ name }) => name === service);
  const services = index === -1 ? model.services : model.services.with(index, status);
  if (to !== 'backoff' && to !== 'failed') return { ...model, events, services };
  const deaths = new Map(model.deaths);
  deaths.set(service, [...(deaths.get(service) ?? []), Date.parse(event.at)].slice(-keptLines));
  return { ...model, events, services, deaths };
}

/** The model when no supervisor answers any more. */
export function withoutSupervisor(model: WatchModel, at: string): WatchModel {
  const events = [...model.events, `${clock(at)}  the supervisor is gone; waiting for the next one`].slice(-keptLines);
  return { ...model, connected: false, asking: undefined, events };
}

/** The model with another line of the output that is followed. */
export function withLogLine(model: WatchModel, service: string, line: string): WatchModel {
  if (model.logs?.service !== service) return model;
  return { ...model, logs: { service, lines: [...model.logs.lines, line].slice(-keptLines) } };
}

/** What a key does: to the picture, and beyond it. */
export function pressed(model: WatchModel, key: Key): { readonly model: WatchModel; readonly action?: WatchAction } {
  if (key === 'ctrl-c') return { model, action: { type: 'interrupt' } };
  if (model.asking !== undefined) return answered(model, model.asking, key);
  const selected = model.services.find(({ name }) => name === model.selected);
  switch (key) {
    case 'q':
      return { model, action: { type: 'quit' } };
    case 'up':
    case 'k':
      return { model: moved(model, -1) };
    case 'down':
    case 'j':
      return { model: moved(model, 1) };
    case 'escape':
      return model.logs === undefined
        ? { model }
        : { model: { ...model, logs: undefined }, action: { type: 'no_logs' } };
    default:
      return selected === undefined ? { model } : ordered(model, selected, key);
  }
}

function answered(model: WatchModel, service: string, key: Key): ReturnType<typeof pressed> {
  const rest = { ...model, asking: undefined };
  if (key === 'y') return { model: { ...rest, message: `Stopping ${service}` }, action: { type: 'stop', service } };
  return { model: { ...rest, message: `${service} was not stopped` } };
}

function ordered(model: WatchModel, { name, state }: ServiceStatus, key: Key): ReturnType<typeof pressed> {
  if (key === 'l') {
    if (model.logs?.service === name) return { model: { ...model, logs: undefined }, action: { type: 'no_logs' } };
    return { model: { ...model, logs: { service: name, lines: [] } }, action: { type: 'logs', service: name } };
  }
  if (key !== 'r' && key !== 's') return { model };
  if (!model.connected) return { model: { ...model, message: 'No supervisor answers' } };
  if (key === 'r') {
    return { model: { ...model, message: `Restarting ${name}` }, action: { type: 'restart', service: name } };
  }
  if (state === 'stopped' || state === 'failed') {
    return { model: { ...model, message: `Starting ${name}` }, action: { type: 'start', service: name } };
  }
  return { model: { ...model, asking: name, message: undefined } };
}

function moved(model: WatchModel, by: number): WatchModel {
  const at = model.services.findIndex(({ name }) => name === model.selected) + by;
  const next = model.services[Math.max(0, Math.min(model.services.length - 1, at))];
  return { ...model, selected: next?.name, message: undefined };
}

/** The time of day in the reader's own zone, as a clock on the wall. */
function clock(at: string): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour12: false });
}
