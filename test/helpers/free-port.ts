import { isPortFree } from '../../src/lib/infra/process/ports.ts';
import { until } from './until.ts';

// Below the ports of outgoing connections (Linux: 32768-60999), which would come in between. Workers side by side take
// every other place: a port that is free now may be about to be used.
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0);
const singles = { first: 31_000, end: 32_700 };
const blocks = { first: 26_000, end: 31_000 };

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const [port] = await free(singles, 1);
  return port;
}

/** Ports in a row that nobody listens on: the first and the last. */
export async function freeBlock(size: number): Promise<readonly [number, number]> {
  return await free(blocks, size);
}

function free(
  range: { readonly first: number; readonly end: number },
  size: number,
): Promise<readonly [number, number]> {
  const pairs = Math.floor((range.end - range.first) / (2 * size));
  return until(`${size} free ports`, async () => {
    const first = range.first + size * (2 * Math.floor(Math.random() * pairs) + (worker % 2));
    const ports = Array.from({ length: size }, (_, index) => first + index);
    const all = await Promise.all(ports.map(isPortFree));
    return all.every(Boolean) ? ([first, first + size - 1] as const) : undefined;
  });
}
