import { setTimeout as delay } from 'node:timers/promises';
import type { ProbeResult, ServiceSpec } from '../../infra/process/spec.ts';
import type { SupervisionPolicy } from './policy.ts';
import type { Run } from './run.ts';

/** One health check, bounded in time. A check that throws is a check that failed. */
async function probeOnce(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { instanceId, port } = run.record;
  const bound = AbortSignal.any([signal, AbortSignal.timeout(policy.probeTimeoutMs)]);
  try {
    const result = await spec.probe({ instanceId, pid: run.pid, port, signal: bound });
    // Whoever answered: without the process it was not ours.
    return result.ready && !(await run.alive()) ? { ready: false, reason: 'its process has ended' } : result;
  } catch (error) {
    if (bound.aborted) return { ready: false, reason: 'no answer in time' };
    return { ready: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Checks a starting service until it is ready.
 * @param paused while true the time is not charged to the service: it may be waiting for what we wait for too
 * @returns the check that succeeded, or the last one that failed once the timeout has passed
 */
export async function untilReady(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  paused: () => boolean,
): Promise<ProbeResult> {
  let pause = policy.probeMinMs;
  let left = spec.readyTimeoutMs;
  let result: ProbeResult = { ready: false, reason: 'no health check was made' };
  while (left > 0) {
    const since = performance.now();
    result = await probeOnce(spec, run, policy, signal);
    if (result.ready) return result;
    await delay(pause, undefined, { signal });
    pause = Math.min(policy.probeMaxMs, pause * 1.2);
    if (!paused()) left -= performance.now() - since;
  }
  return result;
}

/** Checks a ready service for as long as it runs; reports each turn for the worse or the better. */
export async function watchHealth(
  spec: ServiceSpec,
  run: Run,
  policy: SupervisionPolicy,
  signal: AbortSignal,
  report: (health: { readonly healthy: boolean; readonly reason: string }) => void,
): Promise<void> {
  let misses = 0;
  while (!signal.aborted) {
    await delay(policy.livenessEveryMs, undefined, { signal, ref: false });
    const result = await probeOnce(spec, run, policy, signal);
    if (signal.aborted) return;
    if (result.ready) {
      if (misses >= policy.livenessMisses) report({ healthy: true, reason: '' });
      misses = 0;
    } else {
      misses += 1;
      if (misses === policy.livenessMisses) {
        report({ healthy: false, reason: `${misses} health checks in a row failed: ${result.reason}` });
      }
    }
  }
}
