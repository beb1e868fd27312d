import { isRecord } from '../router/jsonrpc.ts';
import type { JsonRpcMessage } from './message.ts';

/** For how long a task is believed to be at work of which nothing more is heard, in ms, and at most. */
const usualMs = 3_600_000;
const mostMs = 24 * 3_600_000;
const mostTasks = 10_000;

/** Statuses of a task that is not over (2025-11-25 and the extension of 2026-07-28). */
const atWork: ReadonlySet<unknown> = new Set(['working', 'input_required']);

/** The tasks of one instance that are at work: while there are some it has something to do, whether anybody asks or not. */
export class TaskWatch {
  readonly #until = new Map<string, number>();

  get busy(): boolean {
    const now = performance.now();
    for (const [id, until] of this.#until) if (until < now) this.#until.delete(id);
    return this.#until.size > 0;
  }

  /** Takes note of an answer, whatever it answers: where it is a task's state it says so. */
  note({ value: { result } }: JsonRpcMessage): void {
    if (!isRecord(result)) return;
    const state = isRecord(result['task']) ? result['task'] : result;
    const { taskId, status, ttl, ttlMs } = state;
    if (typeof taskId !== 'string' || typeof status !== 'string') return;
    if (!atWork.has(status)) {
      this.#until.delete(taskId);
      return;
    }
    const lasts = [ttl, ttlMs].find((given) => typeof given === 'number' && given > 0) as number | undefined;
    if (this.#until.size < mostTasks) this.#until.set(taskId, performance.now() + Math.min(lasts ?? usualMs, mostMs));
  }
}
