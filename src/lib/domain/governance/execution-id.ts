import { randomFillSync } from 'node:crypto';
import type { ExecutionId } from '../../shared/ids.ts';

const pool = Buffer.alloc(1_000);
let used = pool.length;

/**
 * A new execution id: UUID version 7 (RFC 9562 §5.7). It begins with the time in milliseconds, so that rows are
 * appended at the end of their index and a list by time is a walk along the primary key.
 *
 * @param now milliseconds since the epoch
 */
export function newExecutionId(now: number = Date.now()): ExecutionId {
  if (used + 10 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.toString('hex', used, used + 10);
  used += 10;
  const variant = '89ab'[Number.parseInt(random[3] as string, 16) & 3] as string;
  return `${timePrefix(now)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}` as ExecutionId;
}

/** The lowest execution id of a point in time: the bound of a search by time. */
export function executionIdFloor(now: number): string {
  return `${timePrefix(now)}-7000-8000-000000000000`;
}

function timePrefix(now: number): string {
  const time = Math.max(0, Math.floor(now)).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8, 12)}`;
}
