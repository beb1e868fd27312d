import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { InstanceStatus, ServiceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import {
  type AppError,
  CancelledError,
  ConflictError,
  type ErrorDetails,
  PartialError,
  SupervisorUnavailableError,
  TimeoutError,
} from '../../../lib/shared/errors.ts';
import { errorFromWire, type WireError } from '../../../lib/shared/wire.ts';
import type { Reporter } from './reporter.ts';

const refreshMs = 300;
const logLines = 20;
/** Where more have failed, they mostly have it in common. */
const shownServices = 10;

export interface FollowOptions {
  /** Ends the wait, not the start. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Whether what is ready goes on when something else is not. */
  readonly keepPartial: boolean;
  /** Hears the number of each event that was shown. */
  readonly seen: (seq: number) => void;
}

/**
 * Shows a boot until every service has come to rest.
 *
 * @returns how things are then
 * @throws the reason of the boot's failure with the last lines of the log; PartialError when only some services are
 *   ready; ConflictError when somebody stopped it; TimeoutError when the wait ended first; CancelledError when it was
 *   interrupted
 */
export async function followStart(
  client: SupervisorClient,
  reporter: Reporter,
  options: FollowOptions,
): Promise<InstanceStatus> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  let failure: AppError | undefined;
  let stopped = false;
  /** What each failed run printed last. Told with its failure: when the boot has failed everything is about to be gone. */
  const words = new Map<string, readonly string[]>();
  const refresh = reporter.drawn ? setInterval(() => void refreshOnce(client, reporter), refreshMs) : undefined;
  try {
    for await (const event of client.events(AbortSignal.any([options.signal, timeout]))) {
      reporter.event(event);
      options.seen(event.seq);
      // What was begun is being undone: the command ends when nothing is left of it.
      keepWords(words, event);
      if (event.type === 'boot_failed') failure = withLog(words, errorFromWire(event.error));
      if (event.type === 'stopping') stopped = true;
      if (event.type !== 'ready') continue;
      const status = await client.status();
      reporter.refresh(status.services);
      if (event.refused !== undefined) throw refusedStart(event.refused, status.services);
      if (event.failed.length > 0) throw partlyStarted(status.services, event.failed, options.keepPartial);
      return status;
    }
  } finally {
    clearInterval(refresh);
  }
  if (failure !== undefined) throw failure;
  if (options.signal.aborted) throw new CancelledError('Interrupted');
  if (timeout.aborted) throw await lateStart(client, options.timeoutMs);
  if (stopped) {
    throw new ConflictError('It was stopped while it was starting', {
      hint: 'Somebody ran a stop, or ended the supervisor by a signal',
      next: ['infra services start', 'infra services logs supervisor'],
    });
  }
  throw new SupervisorUnavailableError('The supervisor ended while it was starting the services', {
    hint: 'Its log says why',
    next: ['infra services logs supervisor', 'doctor'],
  });
}

/** The error of a start that takes longer than the caller would wait: who is not there yet. */
async function lateStart(client: SupervisorClient, timeoutMs: number): Promise<TimeoutError> {
  const services = await client.status().then(
    (status) => status.services,
    () => [], // the stream of events had its end for another reason then, and the next look tells it
  );
  const pending = services.filter(({ state }) => state !== 'ready');
  const states = pending.map(({ name, state }) => `${name} (${state})`);
  const names = pending.map(({ name }) => name);
  return new TimeoutError(`Not ready after ${Math.round(timeoutMs / 1000)} s: ${states.join(', ') || 'the system'}`, {
    hint: 'Nothing was undone, it goes on; look with',
    next: ['infra services status', ...names.slice(0, 1).map((name) => `infra services logs ${name}`)],
    data: { pending: names, log: await lastLinesOf(client, names.slice(0, 1)) },
  });
}

/** The configuration was refused while services of an earlier start were running: they go on, and nothing was started. */
function refusedStart(refused: WireError, services: readonly ServiceStatus[]): AppError {
  const kept = services.filter(({ pid }) => pid !== undefined).map(({ name }) => name);
  return errorFromWire({
    ...refused,
    hint: `What ran goes on (${kept.join(', ') || 'nothing'}), and nothing was started. Mend the configuration, then run`,
    next: ['infra services reconcile', 'infra services status'],
    data: { ...refused.data, kept },
  });
}

async function refreshOnce(client: SupervisorClient, reporter: Reporter): Promise<void> {
  try {
    reporter.refresh((await client.status()).services);
  } catch {
    // The picture is decoration; that the supervisor is gone shows in the stream of events.
  }
}

/** Keeps what a failed run printed last, until the next begins. */
function keepWords(words: Map<string, readonly string[]>, event: SupervisorEvent): void {
  if (event.type !== 'transition') return;
  if (event.to === 'failed') words.set(event.service, event.status.log ?? []);
  else if (event.to === 'starting') words.delete(event.service);
}

/** The same error with the last words of the run it is about, when it names a service and has none yet. */
function withLog(words: ReadonlyMap<string, readonly string[]>, error: AppError): AppError {
  const { service, log } = error.data;
  if (typeof service !== 'string' || log !== undefined) return error;
  return errorFromWire({
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    next: error.next,
    data: { ...error.data, log: words.get(service) ?? [] },
  });
}

/** The error of a start after which some services are not ready, with their reasons and the end of their logs. */
export function partlyStarted(services: readonly ServiceStatus[], failed: readonly string[], kept: boolean): AppError {
  const reasons = failed.map((name) => {
    const service = services.find((candidate) => candidate.name === name);
    return `${name}: ${service?.lastError ?? 'is not ready'}`;
  });
  const [first = ''] = failed;
  const log = namedLines(lastWords(services, failed));
  const details: ErrorDetails = {
    hint: kept ? 'The other services are running' : 'Everything was stopped again',
    next: kept ? [`infra services logs ${first}`, 'infra services status', 'infra services stop'] : ['doctor'],
    data: { failed, log },
  };
  return new PartialError(
    `Failed to start ${failed.length} of ${services.length} services\n${reasons.join('\n')}`,
    details,
  );
}

/** What the last runs of these services printed last, twenty lines each; nothing of runs before. */
export async function lastLinesOf(client: SupervisorClient, services: readonly string[]): Promise<string[]> {
  try {
    const known = (await client.status()).services.filter(({ name }) => services.includes(name));
    const entries = known.map(async (service) => [service.name, await lastLines(client, service)] as const);
    return namedLines(Object.fromEntries(await Promise.all(entries)));
  } catch {
    return []; // the supervisor is going down with its reason already told; the lines are an addition to it
  }
}

/** The last words of those that have failed: of the run that did, none when it printed nothing or was never begun. */
export function lastWords(
  services: readonly ServiceStatus[],
  failed: readonly string[],
): Record<string, readonly string[]> {
  const ofFailed = services.filter(({ name }) => failed.includes(name));
  return Object.fromEntries(ofFailed.map(({ name, log }) => [name, log ?? []]));
}

/** The last lines of each service, under its name where there are several. */
export function namedLines(byService: Readonly<Record<string, readonly string[]>>): string[] {
  const entries = Object.entries(byService)
    .filter(([, lines]) => lines.length > 0)
    .slice(0, shownServices);
  return entries.flatMap(([name, lines]) => [...(entries.length > 1 ? [`${name}:`] : []), ...lines.slice(-logLines)]);
}

async function lastLines(
  client: SupervisorClient,
  { name, log, lastInstanceId }: ServiceStatus,
): Promise<readonly string[]> {
  if (log !== undefined || lastInstanceId === undefined) return log ?? [];
  const lines: string[] = [];
  for await (const { instanceId, line } of client.logs({ service: name, lines: logLines })) {
    if (instanceId === lastInstanceId) lines.push(line);
  }
  return lines;
}
