import { setTimeout as delay } from 'node:timers/promises';
import { ProbeConnection } from '../../infra/process/probe-connection.ts';
import { isShortage, pastShortage } from '../../infra/process/shortage.ts';
import type { ProbeResult, ServiceSpec } from '../../infra/process/spec.ts';
import type { HealthRecord } from './health-record.ts';
import type { SupervisionPolicy } from './policy.ts';
import type { Run } from './run.ts';
import type { Timetable } from './timetable.ts';

/** One health check, bounded in time. One that can't be made for want of a descriptor of ours says nothing: it is made later. */
function probeOnce(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  connection: ProbeConnection,
): Promise<ProbeResult> {
  return pastShortage(() => check(spec, run, policy, signal, connection), signal);
}

/** A check that throws is a check that failed. */
async function check(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  connection: ProbeConnection,
): Promise<ProbeResult> {
  const { instanceId, port } = run.record;
  try {
    const timeoutMs = policy.probeTimeoutMs;
    const result = await spec.probe({ instanceId, pid: run.pid, port, signal, timeoutMs, connection });
    // Whoever answered: without the process it was not ours.
    return result.ready && run.ended ? { ready: false, reason: 'its process has ended' } : result;
  } catch (error) {
    if (isShortage(error)) throw error;
    return { ready: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** A connection for the checks of one run, until the signal fires. */
function connectionUntil(signal: AbortSignal): ProbeConnection {
  const connection = new ProbeConnection();
  signal.addEventListener('abort', () => connection.close(), { once: true });
  return connection;
}

/**
 * Checks a starting service until it is ready.
 * @param paused while true the time is not charged to the service: it may be waiting for what we wait for too
 * @returns the check that succeeded, or the last one that failed once the timeout has passed
 */
export function untilReady(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  paused: () => boolean,
): Promise<ProbeResult> {
  return untilGood(spec, run, policy, signal, paused, (result) => result);
}

/** {@link untilReady} for what is to take the place of a run that serves: it must be able to serve as well. */
export function untilAble(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  paused: () => boolean,
): Promise<ProbeResult> {
  return untilGood(spec, run, policy, signal, paused, (result) => {
    if (!result.ready || result.health?.ready !== false) return result;
    return { ready: false, reason: result.health.reason ?? 'it says that it is not ready' };
  });
}

async function untilGood(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  paused: () => boolean,
  judge: (result: ProbeResult) => ProbeResult,
): Promise<ProbeResult> {
  let pause = policy.probeMinMs;
  let left = spec.readyTimeoutMs;
  let result: ProbeResult = { ready: false, reason: 'no health check was made' };
  const connection = connectionUntil(signal);
  while (left > 0) {
    const since = performance.now();
    result = judge(await probeOnce(spec, run, policy, signal, connection));
    connection.close();
    if (result.ready) return result;
    await delay(pause, undefined, { signal });
    pause = Math.min(policy.probeMaxMs, pause * 1.2);
    if (!paused()) left -= performance.now() - since;
  }
  return result;
}

/** What a watch over a ready service is made with. */
export interface HealthWatch {
  readonly spec: ServiceSpec;
  readonly run: Run;
  readonly policy: SupervisionPolicy;
  readonly timetable: Timetable;
  /** Keeps what the checks find. */
  readonly record: HealthRecord;
  /** Too many checks in a row were missed, or one succeeded after that. */
  turned(healthy: boolean, reason: string): void;
  /** Something changed that is no matter of life and death: readiness, or the number of misses. */
  noticed(servingTurned: boolean): void;
}

/**
 * Checks a ready service for as long as it runs. One question serves both for liveness and for readiness: a service that
 * tells the two apart is asked more often, and misses lie a liveness
 * interval apart, less only where the process does not run at all, or nobody listens.
 * @throws the signal's reason
 */
export async function watchHealth(watch: HealthWatch, signal: AbortSignal): Promise<void> {
  const { spec, run, policy, timetable, record } = watch;
  // Of an adopted run nothing is known yet.
  let pause = run.adopted ? 0 : policy.readinessEveryMs;
  const connection = connectionUntil(signal);
  let due = performance.now();
  for (;;) {
    due = await timetable.pause(pause, signal, due);
    // An open connection still reaches a process that no longer listens.
    if ((connection.ageMs ?? 0) >= policy.connectionMs) connection.close();
    const since = performance.now();
    const result = await probeOnce(spec, run, policy, signal, connection);
    signal.throwIfAborted();
    const { serving, consecutive } = record;
    record.checked(result, performance.now() - since);
    const tellsReadiness = result.ready && result.health?.ready !== undefined;
    pause = tellsReadiness ? policy.readinessEveryMs : policy.livenessEveryMs;
    if (await isDeaf(run, result, signal)) pause = Math.min(pause, policy.deafRetryMs);
    if (result.ready && consecutive >= policy.livenessMisses) watch.turned(true, '');
    else if (!result.ready && record.consecutive === policy.livenessMisses) {
      watch.turned(false, `unhealthy, ${inWords(policy.livenessMisses)} checks in a row: ${result.reason}`);
    } else if (record.serving !== serving || record.consecutive !== consecutive) {
      watch.noticed(record.serving !== serving);
    }
  }
}

/** Whether who did not answer is no busy one: nobody listens, or the process does not run at all. */
async function isDeaf(run: Run, result: ProbeResult, signal: AbortSignal): Promise<boolean> {
  return !result.ready && (result.refused === true || (await pastShortage(() => run.halted(), signal)));
}

function inWords(count: number): string {
  return ['no', 'one', 'two', 'three', 'four', 'five'][count] ?? String(count);
}
