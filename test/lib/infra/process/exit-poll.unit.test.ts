import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ExitPoll } from '../../../../src/lib/infra/process/exit-poll.ts';
import { identify } from '../../../../src/lib/infra/process/identity.ts';

describe('the look at processes that are not our children', () => {
  it('tells when each of them has ended, and not before', async () => {
    const children = [0, 1].map(() => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']));
    const [first, second] = children;
    if (first === undefined || second === undefined) throw new Error('no children');
    const poll = new ExitPoll(5);
    const gone: number[] = [];
    const waits = [];
    for (const { pid = 0 } of [first, second]) {
      const identity = await identify(pid);
      if (identity === undefined) throw new Error('it has ended already');
      waits.push(poll.gone(identity).then(() => gone.push(pid)));
    }
    second.kill('SIGKILL');
    await waits[1];
    expect(gone).toEqual([second.pid]);
    first.kill('SIGKILL');
    await Promise.all([...waits, once(first, 'exit')]);
    expect(gone).toEqual([second.pid, first.pid]);
  });

  it('does not take another process with the same number for it', async () => {
    const identity = await identify(process.pid);
    if (identity === undefined) throw new Error('we are not there');
    await new ExitPoll(5).gone({ ...identity, startTicks: '1' });
  });
});
