import { readFileSync } from 'node:fs';
import { hasCode } from './identity.ts';

/**
 * How many files a process may have open (RLIMIT_NOFILE, its soft limit; Node.js raises it to the hard one when it starts).
 * @returns undefined when it can't be told: another user's process, or another's than ours outside of Linux
 */
export function openFileLimit(pid: number): number | undefined {
  if (process.platform !== 'linux') return pid === process.pid ? ownLimit() : undefined;
  try {
    const found = /^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
    return found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

function ownLimit(): number | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = userLimits?.open_files?.soft;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft);
}
