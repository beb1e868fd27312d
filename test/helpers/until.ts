import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `look` gives something that is neither false nor undefined, and returns it.
 * @param what named in the error when it does not within `ms`
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 20_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== false && found !== undefined) return found as Exclude<T, false | undefined>;
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await delay(10);
  }
}
