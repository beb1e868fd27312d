import { randomBytes } from 'node:crypto';
import type { ExecutionId } from '../../shared/ids.ts';

const idDigits = 20;
const poolDigits = idDigits * 200;
/** Random hexadecimal digits for the next ids: one call of the generator for many of them. */
let pool = '';
let used = poolDigits;

/**
 * A new execution id: UUID version 7 (RFC 9562 §5.7). It begins with the time in milliseconds, so that rows are
 * appended at the end of their index and a list by time is a walk along the primary key.
 *
 * @param now milliseconds since the epoch
 */
export function newExecutionId(now: number = Date.now()): ExecutionId {
  if (used >= poolDigits) {
    pool = randomBytes(poolDigits / 2).toString('hex');
    used = 0;
  }
  const at = used;
  used += idDigits;
  const variant = '89ab'[Number.parseInt(pool[at + 3] as string, 16) & 3] as string;
  const [a, b, c] = [pool.slice(at, at + 3), pool.slice(at + 4, at + 7), pool.slice(at + 7, at + 19)];
  return `${timePrefix(now)}-7${a}-${variant}${b}-${c}` as ExecutionId;
}

/** The lowest execution id of a point in time: the bound of a search by time. */
export function executionIdFloor(now: number): string {
  return `${timePrefix(now)}-7000-8000-000000000000`;
}

function timePrefix(now: number): string {
  const time = Math.max(0, Math.floor(now)).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8, 12)}`;
}
