import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConflictError, TimeoutError } from '../../shared/errors.ts';
import { selectServices } from './selection.ts';
import type { ServiceState, ServiceStatus, ServicesResult } from './status.ts';
import type { Supervisor } from './supervisor.ts';

export type OrderVerb = 'start' | 'stop' | 'restart';

/** What somebody asks for over the control socket. */
export interface Order {
  /** Names or kinds; everything when there are none. */
  readonly names?: readonly string[] | undefined;
  /** False answers as soon as the order is under way. */
  readonly wait?: boolean | undefined;
  /** How long to wait, in ms; as long as it takes when absent. What is under way goes on after it. */
  readonly timeoutMs?: number | undefined;
  /** Stop only: kill instead of asking. */
  readonly now?: boolean | undefined;
}

const goal: Readonly<Record<OrderVerb, ServiceState>> = { start: 'ready', stop: 'stopped', restart: 'ready' };

/**
 * Carries an order out and tells what became of each service, of those too that it concerned without being named.
 *
 * @throws NotFoundError for what is neither a name nor a kind; ConflictError while everything is being stopped;
 *   TimeoutError naming those that are not there yet: nothing of the order is taken back
 * @param leftMs how long the caller will still wait, in ms: less than the order's time when it has waited for us
 */
export async function carryOut(
  supervisor: Supervisor,
  verb: OrderVerb,
  order: Order,
  leftMs = Number.POSITIVE_INFINITY,
): Promise<ServicesResult> {
  const before = supervisor.status().services;
  const names = order.names === undefined ? undefined : chosenNames(supervisor, order.names);
  const work = ordered(supervisor, verb, names, order.now === true);
  if (order.wait === false) {
    // What is refused at once is still told; what fails later is in the events, the status and the log.
    const refused = await Promise.race([work, nextTurn(undefined)]);
    if (refused !== undefined) return told(supervisor, verb, names, before, refused);
    work.catch((error: unknown) => supervisor.log.error({ err: error, verb, names }, 'an order failed'));
    const services = concerned(supervisor, verb, names, before);
    return told(supervisor, verb, names, before, { services, failed: [], pending: pendingOf(verb, services, before) });
  }
  if (order.timeoutMs === undefined) return told(supervisor, verb, names, before, await work);
  const result = await within(work, Math.min(order.timeoutMs, leftMs));
  if (result !== undefined) return told(supervisor, verb, names, before, result);
  work.catch((error: unknown) => supervisor.log.error({ err: error, verb, names }, 'an order failed'));
  throw lateError(verb, concerned(supervisor, verb, names, before), before, order.timeoutMs);
}

function chosenNames(supervisor: Supervisor, words: readonly string[]): string[] {
  const known = supervisor.services.map(({ name, spec }) => ({ name, kind: spec.kind }));
  if (known.length === 0) throw new ConflictError('The system is still starting.', { next: ['infra services status'] });
  return selectServices(words, known).map(({ name }) => name);
}

function ordered(
  supervisor: Supervisor,
  verb: OrderVerb,
  names: readonly string[] | undefined,
  now: boolean,
): Promise<ServicesResult> {
  if (verb === 'stop') return supervisor.stop(names, now ? AbortSignal.abort() : undefined);
  return verb === 'start' ? supervisor.start(names) : supervisor.restart(names);
}

/** The services that an order is about as they are now: the named, and for start and stop those that go with them. */
function concerned(
  supervisor: Supervisor,
  verb: OrderVerb,
  names: readonly string[] | undefined,
  before: readonly ServiceStatus[],
): ServiceStatus[] {
  const now = supervisor.status().services;
  if (names === undefined) return now.filter(({ kind }) => verb !== 'restart' || kind !== 'database');
  const included = new Set(names);
  if (verb === 'start') for (const name of needs(supervisor, names)) included.add(name);
  if (verb === 'stop') for (const name of dependents(supervisor, names)) included.add(name);
  return now.filter(({ name }) => included.has(name) && before.some((service) => service.name === name));
}

/** Everything that the named services stand on, without themselves. */
function needs(supervisor: Supervisor, names: readonly string[]): string[] {
  const found = new Set(names);
  for (const name of found) {
    const service = supervisor.services.find((candidate) => candidate.name === name);
    for (const need of service?.dependsOn ?? []) found.add(need);
  }
  return [...found].filter((name) => !names.includes(name));
}

/** Everything that stands on the named services, without themselves. */
function dependents(supervisor: Supervisor, names: readonly string[]): string[] {
  const found = new Set(names);
  for (const name of found) {
    for (const service of supervisor.services) if (service.dependsOn.includes(name)) found.add(service.name);
  }
  return [...found].filter((name) => !names.includes(name));
}

/** The answer with what its reader can't see from the states alone. */
function told(
  supervisor: Supervisor,
  verb: OrderVerb,
  names: readonly string[] | undefined,
  before: readonly ServiceStatus[],
  result: ServicesResult,
): ServicesResult {
  const wasThere = new Set(before.filter(({ state }) => state === goal[verb]).map(({ name }) => name));
  const already = result.services.map(({ name }) => name).filter((name) => wasThere.has(name));
  const stayed = names === undefined ? [] : dependents(supervisor, names);
  const running = supervisor.services.filter(({ state }) => state !== 'stopped').map(({ name }) => name);
  return {
    ...result,
    ...(verb === 'restart' || already.length === 0 ? {} : { already }),
    ...(names === undefined ? {} : { named: names }),
    ...(verb === 'restart' && stayed.length > 0 ? { dependents: stayed.filter((name) => running.includes(name)) } : {}),
  };
}

/** Those that are not there yet. A restarted service is there when another run of it is ready. */
function pendingOf(verb: OrderVerb, now: readonly ServiceStatus[], before: readonly ServiceStatus[]): string[] {
  const runs = new Map(before.map(({ name, instanceId }) => [name, instanceId]));
  return now
    .filter(({ name, state, instanceId }) => {
      if (state === 'failed') return false;
      return state !== goal[verb] || (verb === 'restart' && instanceId !== undefined && runs.get(name) === instanceId);
    })
    .map(({ name }) => name);
}

function lateError(
  verb: OrderVerb,
  services: readonly ServiceStatus[],
  before: readonly ServiceStatus[],
  timeoutMs: number,
): TimeoutError {
  const pending = pendingOf(verb, services, before);
  const states = services
    .filter(({ name }) => pending.includes(name))
    .map(({ name, state }) => (state === 'ready' ? `${name} (not replaced yet)` : `${name} (${state})`));
  const failed = services.filter(({ state }) => state === 'failed').map(({ name }) => name);
  const what = states.join(', ') || 'the order';
  return new TimeoutError(`Not ${verb === 'stop' ? 'stopped' : 'ready'} after ${seconds(timeoutMs)}: ${what}`, {
    hint: 'Nothing was undone, it goes on; look with',
    next: ['infra services status', ...pending.slice(0, 1).map((name) => `infra services logs ${name}`)],
    data: { pending, failed },
  });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** @returns undefined when the time was up first */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
