import { setTimeout as delay } from 'node:timers/promises';

const againMs = 20;

type Checks = Readonly<Record<string, () => void | Promise<void>>>;

/**
 * Waits until everything holds that requests need. Where several processes share a port, whoever listens gets connections
 * at once: one that can make no calls yet must not listen.
 * @param boundMs how long at most; `Infinity` when there is another process that serves meanwhile
 * @returns what did not hold when the time was over, with the error that says why; none in the end when all of it holds
 */
export async function untilAllHold(checks: Checks, boundMs: number): Promise<readonly (readonly [string, unknown])[]> {
  const deadline = performance.now() + boundMs;
  for (;;) {
    const looks = Object.entries(checks).map(async ([name, check]) => [name, await failureOf(check)] as const);
    const missing = (await Promise.all(looks)).filter(([, error]) => error !== undefined);
    if (missing.length === 0 || performance.now() >= deadline) return missing;
    await delay(againMs);
  }
}

async function failureOf(check: () => void | Promise<void>): Promise<unknown> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return error ?? new Error('it does not hold');
  }
}
