import { hasCode, type ProcessInfo } from './identity.ts';
import { environmentOf, listProcesses } from './table.ts';

/** Names one run of a program in the environment of all that belongs to it, so that what is left over can be told from others. */
export const runMarker = 'SYSTEMPROMPT_TOOL_RUN';

const killRounds = 10;

/**
 * Kills what the program left running, also what left its group (setsid(2)): the run's marker proves that it is ours.
 * What is killed may just have forked, so it looks again until nothing is found twice.
 * @param since when the leader began; what is older is none of its
 */
export async function killLeftovers(leader: number, marker: string, since: string | undefined): Promise<void> {
  let calm = 0;
  for (let round = 0; round < killRounds && calm < 2; round += 1) {
    calm = (await killMarked(leader, marker, since)) === 0 ? calm + 1 : 0;
  }
}

async function killMarked(leader: number, marker: string, since: string | undefined): Promise<number> {
  let found = 0;
  for (const info of await listProcesses()) {
    // Where reading an environment takes a process of its own, only the group is looked at.
    const candidate = process.platform === 'linux' ? isYounger(info, since) : info.group === leader;
    if (!candidate || info.pid === leader || info.pid === process.pid) continue;
    const env = await environmentOf(info.pid);
    // In the midst of execve(2) it has none to show; the next look will tell.
    if (env === 'empty') found += 1;
    if (env === 'empty' || env?.get(runMarker) !== marker) continue;
    found += 1;
    try {
      process.kill(info.pid, 'SIGKILL');
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
  return found;
}

function isYounger({ group, startTicks }: ProcessInfo, since: string | undefined): boolean {
  return group !== 0 && (since === undefined || Number(startTicks) >= Number(since));
}
