import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { bootId, identify, isAlive, parseStat, processInfo } from '../../../../src/lib/infra/process/identity.ts';
import { until } from '../../../helpers/until.ts';

describe('parseStat', () => {
  it('counts the fields from after the last parenthesis, whatever the program is called', () => {
    const tail = ['S', '7', '42', ...Array.from({ length: 16 }, (_, index) => String(index)), '987654', '0'].join(' ');
    for (const name of ['node', 'a b', ') S 1 (', '((', ':-) 1 2 3']) {
      expect(parseStat(`42 (${name}) ${tail}\n`)).toEqual({
        pid: 42,
        state: 'S',
        parent: 7,
        group: 42,
        startTicks: '987654',
      });
    }
  });

  it('makes nothing of what is no line of the table', () => {
    for (const text of ['', '42', '42 (node', '42 (node) S 1']) expect(parseStat(text)).toBeUndefined();
  });
});

describe('the identity of a process', () => {
  it('holds for as long as the process lives, and not for another with its pid', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const identity = await identify(child.pid ?? 0);
    if (identity === undefined) throw new Error('no identity');
    expect(await isAlive(identity)).toBe(true);
    expect(await isAlive({ ...identity, startTicks: String(Number(identity.startTicks) - 1) })).toBe(false);
    expect(await isAlive({ ...identity, bootId: 'another boot' })).toBe(false);
    expect(identity.bootId).toBe(await bootId());
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await isAlive(identity)).toBe(false);
  });

  it.runIf(process.platform === 'linux')('does not take a zombie for alive', async () => {
    // The shell execs into a program that never waits for the child that the shell had.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 30'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    const identity = await identify(pid);
    await until('it is a zombie', async () => (await processInfo(pid))?.state === 'Z');
    expect(process.kill(pid, 0)).toBe(true); // what others call alive
    expect(await identify(pid)).toBeUndefined();
    if (identity !== undefined) expect(await isAlive(identity)).toBe(false);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  });

  it('finds nobody where nobody is', async () => {
    for (const pid of [0, -1, 1.5, Number.NaN, 4_194_305]) expect(await identify(pid)).toBeUndefined();
  });
});
