import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSupervisorFile } from '../../src/lib/infra/process/launch.ts';
import { startCli } from '../helpers/cli.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

// The client of a start is interrupted or killed; whole systems, driven by the built CLI.

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

interface Services {
  readonly items: readonly { readonly name: string; readonly state: string }[];
}

describe('a supervisor that hangs', () => {
  const commands = [
    ['infra', 'services', 'status'],
    ['infra', 'services', 'start'],
    ['infra', 'services', 'stop', 'mcp', '--timeout', '2s'],
    ['infra', 'services', 'restart', 'api', '--no-wait'],
    ['infra', 'services', 'logs'],
    ['infra', 'services', 'reconcile', '--dry-run'],
    ['infra', 'services', 'cleanup', '--dry-run'],
    ['plugins', 'mcp', 'list'],
  ];

  it('is told by every command, and keeps none from ending', async () => {
    const before = await system.artifact<Services>('infra', 'services', 'status');
    const pid = readSupervisorFile(system.instance)?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      const runs = await Promise.all(commands.map(async (argv) => ({ argv, ...(await system.run(...argv)) })));
      for (const run of runs) {
        expect(run).toMatchObject({ code: 7 });
        expect(run.stderr).toContain(`The supervisor (pid ${pid}) does not answer`);
        expect(run.stderr).toContain('doctor');
      }
      for (const [signal, code] of [
        ['SIGTERM', 143],
        ['SIGINT', 130],
      ] as const) {
        const watch = startCli(['infra', 'services', 'watch', '--json'], { cwd: system.instance.root });
        const exited = once(watch, 'exit');
        await until('it listens for signals', () => catches(watch.pid ?? 0, 'SIGHUP'), 30_000);
        watch.kill(signal);
        expect(await exited).toEqual([code, null]);
      }
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const after = await system.artifact<Services>('infra', 'services', 'status');
    expect(after.items.map(({ name, state }) => ({ name, state }))).toEqual(
      before.items.map(({ name, state }) => ({ name, state })),
    );
  });
});

describe('a client that is killed in the midst of a start', () => {
  it('leaves the start going on: the next one finds it, and starts no twin', async () => {
    expect(await system.stop()).toEqual(noFootprint);
    const client = startCli(['infra', 'services', 'start'], { cwd: system.instance.root });
    const booting = await until(
      'the supervisor boots',
      () => {
        const left = readSupervisorFile(system.instance);
        return left?.state === 'booting' ? left.pid : undefined;
      },
      30_000,
    );
    client.kill('SIGKILL');
    await once(client, 'exit');
    const { code } = await system.run('infra', 'services', 'start');
    expect(code).toBe(0);
    const { items } = await system.artifact<Services>('infra', 'services', 'status');
    expect(new Set(items.map(({ state }) => state))).toEqual(new Set(['ready']));
    expect(readSupervisorFile(system.instance)?.pid).toBe(booting);
    expect(await system.stop()).toEqual(noFootprint);
  });
});

describe('Ctrl-C twice', () => {
  it('says "Stopping at once", and ends everything', async () => {
    expect(await system.stop()).toEqual(noFootprint);
    const client = startCli(['infra', 'services', 'start', '--foreground'], { cwd: system.instance.root });
    let said = '';
    for (const stream of [client.stdout, client.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    await until('everything is ready', () => said.includes('systemprompt is running'), 60_000);
    const supervisor = readSupervisorFile(system.instance)?.pid ?? 0;
    // It hears the first order only after the second was given.
    process.kill(supervisor, 'SIGSTOP');
    const exited = once(client, 'exit');
    try {
      client.kill('SIGINT');
      await until('the first is heard', () => said.includes('Ctrl-C again stops at once'));
      // npm passes one Ctrl-C on twice: what comes within 250 ms is the same one.
      await delay(400);
      client.kill('SIGINT');
      await until('the second is heard', () => said.includes('Stopping at once'));
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    const [code] = (await exited) as [number | null];
    expect(code).toBe(130);
    expect(await system.stop()).toEqual(noFootprint);
  });
});

/** Whether a process has a handler for a signal: proc_pid_status(5). Node itself has some for SIGINT and SIGTERM. */
function catches(pid: number, signal: 'SIGHUP'): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals[signal] - 1))) !== 0n;
}
