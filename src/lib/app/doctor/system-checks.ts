import { openFileLimit } from '../../infra/process/file-limits.ts';
import { missingReaper } from '../../infra/process/reaper.ts';
import { formatDuration } from '../../shared/text/cells.ts';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';
import { statusNow } from './lock-check.ts';

/** Whether somebody collects the processes that lose their parent. */
export async function checkReaper(): Promise<Finding> {
  const missing = missingReaper();
  if (missing === undefined) return { state: 'ok', detail: 'process 1 collects orphaned processes' };
  return { state: 'warn', detail: missing, shell: 'docker run --init …' };
}

const openFiles = { fail: 1024, warn: 4096 };

/** How many files this process, and the supervisor, may open: each connection and each log is one. */
export async function checkFileLimits(context: CommandContext): Promise<Finding> {
  const supervisor = (await statusNow(context))?.supervisor.pid;
  const limits = [
    { who: 'a start from here', limit: openFileLimit(process.pid) },
    ...(supervisor === undefined ? [] : [{ who: `the supervisor (${supervisor})`, limit: openFileLimit(supervisor) }]),
  ].flatMap(({ who, limit }) => (limit === undefined ? [] : [{ who, limit }]));
  const least = limits.toSorted((a, b) => a.limit - b.limit)[0];
  if (least === undefined) return { state: 'warn', detail: 'the limit can not be told on this system' };
  const detail = limits.map(({ who, limit }) => `${limit} for ${who}`).join(', ');
  if (least.limit >= openFiles.warn) return { state: 'ok', detail };
  return { state: least.limit < openFiles.fail ? 'fail' : 'warn', detail, shell: 'ulimit -n 65536' };
}

/** Tokens live for a minute at the least: with a skew of half of it they are refused before their time. In ms. */
const skew = { fail: 30_000, warn: 1_000 };

/** Whether this machine and the database have the same time, and whether the clock was set back under the supervisor. */
export async function checkClock(context: CommandContext): Promise<Finding> {
  const { databaseClock } = await import('../database-admin.ts');
  const [instance, profile, secrets] = await Promise.all([context.instance(), context.profile(), context.secrets()]);
  const { skewMs, uncertaintyMs } = await databaseClock(instance, profile, secrets);
  const off = Math.max(0, Math.abs(skewMs) - uncertaintyMs);
  const shift = (await statusNow(context))?.supervisor.clockShiftMs ?? 0;
  if (off >= skew.warn) {
    return {
      state: off >= skew.fail ? 'fail' : 'warn',
      detail: `this machine is ${formatDuration(off)} ${skewMs > 0 ? 'ahead of' : 'behind'} the database's clock`,
      shell: 'timedatectl set-ntp true',
    };
  }
  // Forward is what a machine does that slept: the monotonic clock stands still meanwhile.
  if (shift <= -skew.warn) {
    return {
      state: 'warn',
      detail: `the clock was set back by ${formatDuration(-shift)} since the supervisor began; what it wrote before lies in the future`,
      shell: 'timedatectl status',
    };
  }
  return { state: 'ok', detail: `within ${formatDuration(off + uncertaintyMs)} of the database's clock` };
}
