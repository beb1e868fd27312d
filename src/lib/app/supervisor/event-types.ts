import type { StateChange } from './service-host.ts';
import type { FilesStatus, ServiceState } from './status.ts';

// Light: the command line is parsed with it.

/** What stands in the place of a service in the events about the configuration. */
export const configurationSubject = 'configuration';

/** One row of `service_events` as it travels: its columns as they are, times as ISO 8601 in UTC. */
export interface ServiceEvent {
  /** Grows with every event of an installation; gaps mean nothing. */
  readonly id: number;
  readonly at: string;
  readonly service: string;
  readonly from_state: string;
  readonly to_state: string;
  readonly event: string;
  readonly reason: string | null;
  readonly generation: number;
  readonly instance_id: string | null;
  readonly pid: number | null;
  readonly port: number | null;
  readonly exit_code: number | null;
  readonly exit_signal: string | null;
  readonly epoch: number;
}

/** What events are narrowed to. */
export interface ServiceEventFilter {
  /** Names, or kinds: what stands before the colon of a name. */
  readonly services?: readonly string[] | undefined;
  /** What happened, or the state that it led to. */
  readonly types?: readonly string[] | undefined;
  readonly since?: Date | undefined;
}

const happenings: Readonly<Record<StateChange['event'] | 'read', true>> = {
  start: true,
  adopt: true,
  healthy: true,
  replaced: true,
  unhealthy: true,
  died: true,
  retry: true,
  stop: true,
  gone: true,
  gave_up: true,
  serving: true,
  not_serving: true,
  // The files of the configuration were read again.
  read: true,
};
const states: Readonly<Record<ServiceState | FilesStatus['state'], true>> = {
  stopped: true,
  starting: true,
  ready: true,
  unhealthy: true,
  backoff: true,
  stopping: true,
  failed: true,
  current: true,
  pending: true,
  invalid: true,
  refused: true,
};

/** The words that an event can be asked for by. */
export const eventTypes: readonly string[] = [...new Set([...Object.keys(happenings), ...Object.keys(states)])];

/** Whether an event passes; the same rule as that of the query in event-rows.ts. */
export function passes(event: ServiceEvent, { services, types, since }: ServiceEventFilter): boolean {
  const kind = event.service.split(':')[0] ?? '';
  if (services !== undefined && !services.includes(event.service) && !services.includes(kind)) return false;
  if (types !== undefined && !types.includes(event.event) && !types.includes(event.to_state)) return false;
  return since === undefined || Date.parse(event.at) >= since.getTime();
}
