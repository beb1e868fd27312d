import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from './identity.ts';

const pauseMs = 100;

/** Whether the system refused for want of something that others give back: descriptors, processes, memory (errno(3)). */
export function isShortage(error: unknown): boolean {
  if (hasCode(error, 'EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'ENOBUFS')) return true;
  return error instanceof Error && error.cause !== undefined && isShortage(error.cause);
}

/**
 * Does what can't be left undone as soon as there is enough for it: while we are short, nothing is known about others.
 * @param signal ends the wait
 * @throws what `work` throws for any other reason; the signal's reason
 */
export async function pastShortage<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isShortage(error)) throw error;
      await delay(pauseMs, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) });
    }
  }
}
