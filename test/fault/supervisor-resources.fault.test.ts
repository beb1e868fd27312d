import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultPolicy } from '../../src/lib/app/supervisor/policy.ts';
import { isAlive } from '../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

// The supervisor runs short of what the machine gives: it neither ends nor forgets, and goes on when there is some again.

let system: Supervised;
let undo: (() => void)[] = [];
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  for (const step of undo.reverse()) step();
  undo = [];
  await system.remove();
});

const ready = ({ state }: { state: string }): boolean => state === 'ready';

function can(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Sets the soft limit of open files so that not one more can be opened, or back. */
function limitFiles(pid: number, limit: number | undefined): void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (open.has(free)) free += 1;
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit ?? free}:`]);
}

/** Why services went into a pause, from their rows: the control socket may not answer now. */
async function pauses(): Promise<string[]> {
  const rows = await system.sql.query<{ reason: string | null }>(
    "SELECT reason FROM service_events WHERE to_state = 'backoff' ORDER BY id",
  );
  return rows.map(({ reason }) => reason ?? '');
}

describe('no file descriptor is left (EMFILE; needs prlimit)', () => {
  it.runIf(can('prlimit', '--version'))('a restart waits for one, and the supervisor goes on', async () => {
    const { client, process: supervisor } = await system.start([
      { name: 'a', program: 'good', port: system.port(0) },
      { name: 'b', program: 'good', port: system.port(1) },
    ]);
    const a = await system.state(client, 'a', ready);
    const b = await system.state(client, 'b', ready);
    limitFiles(supervisor.pid ?? 0, undefined);
    process.kill(a.pid ?? 0, 'SIGKILL');
    // Its death is known and another start is due, though nothing can be looked up for it.
    await until('the next start is due', () => /"generation":2,"msg":"a is starting"/.test(system.log()));
    // More than enough for the three misses in a row after which b would be ended, were they its own.
    await delay(1_000);
    expect(supervisor.exitCode).toBeNull();
    limitFiles(supervisor.pid ?? 0, 1024);
    const next = await system.state(client, 'a', ready);
    expect(next.instanceId).not.toBe(a.instanceId);
    expect((await system.state(client, 'b', ready)).instanceId).toBe(b.instanceId);
    expect(supervisor.exitCode).toBeNull();
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('the disk of the logs is full (needs the right to mount)', () => {
  const probe = '/tmp/systemprompt-mount-probe';
  mkdirSync(probe, { recursive: true });
  const mountable = can('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe) && can('umount', probe);
  rmSync(probe, { recursive: true, force: true });

  it.runIf(mountable)('what runs goes on, a start waits for room, and the supervisor lives', async () => {
    const { logsDir } = system.installation;
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k,nr_inodes=24', 'tmpfs', logsDir]);
    undo.push(() => execFileSync('umount', ['-l', logsDir]));
    const { client, process: supervisor } = await system.start([
      { name: 'a', program: 'good', port: system.port(0) },
      { name: 'b', program: 'good', port: system.port(1) },
    ]);
    const a = await system.state(client, 'a', ready);
    const b = await system.state(client, 'b', ready);
    const fillers = fill(logsDir);
    process.kill(a.pid ?? 0, 'SIGKILL');
    // More often than a service may die before it is ready: that it could not be started is no crash of its own.
    const tries = defaultPolicy.crashLimit + 2;
    await until(
      'starts failed for it',
      async () => (await pauses()).filter((reason) => reason.includes('ENOSPC')).length >= tries,
    );
    expect(supervisor.exitCode).toBeNull();
    expect((await system.state(client, 'b', ready)).instanceId).toBe(b.instanceId);
    for (const file of fillers) rmSync(file);
    const next = await system.state(client, 'a', ready);
    expect(next.instanceId).not.toBe(a.instanceId);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

/** Writes until neither a byte nor a file more fits. */
function fill(folder: string): string[] {
  const files: string[] = [];
  for (const size of [16_384, 1_024, 0]) {
    for (;;) {
      const file = join(folder, `filler-${files.length}`);
      try {
        writeFileSync(file, Buffer.alloc(size), { flush: true });
        files.push(file);
      } catch {
        if (existsSync(file)) files.push(file);
        break; // full, as it should be
      }
    }
  }
  return files;
}

describe('nobody reads what the supervisor writes (EPIPE)', () => {
  it('goes on: it starts, restarts and stops services', async () => {
    const { client, process: supervisor } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    const first = await system.state(client, 'a', ready);
    supervisor.stderr?.destroy();
    for (let round = 0; round < 3; round += 1) await client.restart(['a']);
    const next = await system.state(client, 'a', ready);
    expect(next.instanceId).not.toBe(first.instanceId);
    // A death is something it logs.
    process.kill(next.pid ?? 0, 'SIGKILL');
    await system.state(client, 'a', ({ state, instanceId }) => state === 'ready' && instanceId !== next.instanceId);
    expect(supervisor.exitCode).toBeNull();
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('the supervisor was stopped (SIGSTOP) while a service died', () => {
  it('takes the zombie for dead: killed and started anew, it adopts none and starts one', async () => {
    const services = [{ name: 'a', program: 'good', port: system.port(0) }];
    const first = await system.start(services);
    const a = await system.state(first.client, 'a', ready);
    const [marked] = await markedProcesses(system.installation.id);
    first.process.kill('SIGSTOP');
    process.kill(a.pid ?? 0, 'SIGKILL');
    await until('it is dead', async () => marked !== undefined && !(await isAlive(marked.identity)));
    first.client.close();
    await system.kill(first.process);
    const { client } = await system.start(services);
    const next = await system.state(client, 'a', ready);
    expect(next.instanceId).not.toBe(a.instanceId);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
