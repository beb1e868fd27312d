import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { health } from './peer.ts';

/** What clients met while a service was restarted again and again. */
export interface UnderLoad {
  readonly restarts: number;
  readonly requests: number;
  readonly failed: number;
  /** From the order to the end of its command, median. */
  readonly orderMs: number;
}

const clients = 16;
const betweenMs = 500;

/** Clients over kept connections, one request after another; meanwhile the restarts, one after another. */
export async function underLoad(
  port: number,
  restarts: number,
  restart: () => Promise<unknown>,
): Promise<Omit<UnderLoad, 'orderMs'> & { readonly orders: readonly number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const stopped = new AbortController();
  let requests = 0;
  let failed = 0;
  const client = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      requests += 1;
      if ((await health(port, agent, '/work')) !== undefined) continue;
      failed += 1;
      // Who was refused comes again a moment later, as real clients do.
      await delay(10);
    }
  };
  const running = Array.from({ length: clients }, client);
  const orders: number[] = [];
  try {
    await delay(betweenMs);
    for (let count = 0; count < restarts; count += 1) {
      const since = performance.now();
      await restart();
      orders.push(performance.now() - since);
      await delay(betweenMs);
    }
  } finally {
    stopped.abort();
    await Promise.all(running);
    agent.destroy();
  }
  return { restarts, requests, failed, orders };
}
