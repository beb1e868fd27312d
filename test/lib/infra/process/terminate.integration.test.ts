import { randomUUID } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { findOrphans } from '../../../../src/lib/app/supervisor/reconcile.ts';
import { identify, isAlive } from '../../../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../../../src/lib/infra/process/marker.ts';
import { type SpawnedProcess, spawnService } from '../../../../src/lib/infra/process/spawn.ts';
import { commandOf, linuxPids } from '../../../../src/lib/infra/process/table.ts';
import { terminate } from '../../../../src/lib/infra/process/terminate.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

const installationId = randomUUID();
const how = { signal: 'SIGTERM', graceMs: 300, killWaitMs: 2_000 } as const;

afterEach(async () => {
  for (const { identity } of await markedProcesses(installationId)) process.kill(identity.pid, 'SIGKILL');
});

async function start(
  folder: string,
  code: string,
): Promise<SpawnedProcess & { instanceId: ServiceInstanceId; output(): string }> {
  const instanceId = randomUUID() as ServiceInstanceId;
  const file = join(folder, `${instanceId}.log`);
  const spawned = await spawnService(
    { file: process.execPath, args: ['-e', code], env: {}, cwd: folder },
    {
      SYSTEMPROMPT_ROOT: folder,
      SYSTEMPROMPT_PROFILE: 'test',
      SYSTEMPROMPT_INSTANCE: installationId,
      SYSTEMPROMPT_SERVICE: 'x',
      SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
    },
    file,
  );
  const output = (): string => readFileSync(file, 'utf8');
  await until('it runs', () => output().includes('\n'));
  return { ...spawned, instanceId, output };
}

const rounds = 6;

/** Whoever runs that program, looked for so often that nobody slips through. */
async function lookOften(program: string): Promise<number[]> {
  const found = new Set<number>();
  for (let look = 0; look < 20; look++) {
    for (const pid of linuxPids()) if ((await commandOf(pid))?.includes(program) === true) found.add(pid);
  }
  return [...found];
}

const idle = 'setInterval(() => {}, 1000); console.log("up");';

describe('spawnService', () => {
  it('leads a group of its own, with exactly the given environment, its output in a private file', async () => {
    await using folder = await temporaryFolder();
    const run = await start(
      folder.path,
      `${idle} console.log(Object.keys(process.env).sort().join()); console.error("err");`,
    );
    await until('all is written', () => run.output().includes('err'));
    const [, names] = run.output().split('\n');
    expect(names).toBe(
      'SYSTEMPROMPT_INSTANCE,SYSTEMPROMPT_LOG_FILE,SYSTEMPROMPT_PROFILE,SYSTEMPROMPT_ROOT,SYSTEMPROMPT_SERVICE,SYSTEMPROMPT_SERVICE_INSTANCE',
    );
    const [marked] = await markedProcesses(installationId);
    expect(marked).toMatchObject({ identity: run.identity, group: run.identity.pid, instanceId: run.instanceId });
    await terminate({ ...run, installationId }, how);
    expect(await run.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('says that a program does not exist', async () => {
    await using folder = await temporaryFolder();
    const markers = {
      SYSTEMPROMPT_ROOT: '',
      SYSTEMPROMPT_PROFILE: '',
      SYSTEMPROMPT_INSTANCE: '',
      SYSTEMPROMPT_SERVICE: '',
      SYSTEMPROMPT_SERVICE_INSTANCE: '',
    };
    const command = { file: '/no/such/program', args: [], env: {}, cwd: folder.path };
    await expect(spawnService(command, markers, join(folder.path, 'x.log'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('terminate', () => {
  it('asks first, and kills only what does not listen', async () => {
    await using folder = await temporaryFolder();
    const polite = await start(folder.path, idle);
    expect(await terminate({ ...polite, installationId }, how)).toEqual({ outcome: 'stopped', survivors: [] });
    const deaf = await start(folder.path, `process.on('SIGTERM', () => {}); ${idle}`);
    expect(await terminate({ ...deaf, installationId }, how)).toEqual({ outcome: 'killed', survivors: [] });
    expect(await terminate({ ...deaf, installationId }, how)).toEqual({ outcome: 'gone', survivors: [] });
  });

  it('cuts the grace short when it is told to', async () => {
    await using folder = await temporaryFolder();
    const deaf = await start(folder.path, `process.on('SIGTERM', () => {}); ${idle}`);
    const now = new AbortController();
    const since = performance.now();
    const ended = terminate({ ...deaf, installationId }, { ...how, graceMs: 60_000, now: now.signal });
    now.abort();
    expect((await ended).outcome).toBe('killed');
    expect(performance.now() - since).toBeLessThan(2_000);
  });

  it('does not signal whoever has the pid of a dead process now', async () => {
    await using folder = await temporaryFolder();
    const stranger = await start(folder.path, idle);
    const earlier = { ...stranger.identity, startTicks: '1' };
    const target = { identity: earlier, installationId, instanceId: randomUUID() as ServiceInstanceId };
    expect(await terminate(target, how)).toEqual({ outcome: 'gone', survivors: [] });
    expect(await isAlive(stranger.identity)).toBe(true);
  });

  it('ends the group of a leader that has died, by the marker of its members', async () => {
    await using folder = await temporaryFolder();
    const child =
      "require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })";
    const tree = await start(
      folder.path,
      `const child = ${child}; console.log('child ' + child.pid); setInterval(() => {}, 1000)`,
    );
    const pid = Number(/child (\d+)/.exec(tree.output())?.[1]);
    const grandchild = await until('the grandchild', () => identify(pid));
    // Right after exec the kernel shows an empty environment for a moment; what is tested is a member with its marker.
    await until('its marker', async () =>
      (await markedProcesses(installationId)).some(({ identity }) => identity.pid === pid),
    );
    process.kill(tree.identity.pid, 'SIGKILL');
    await tree.exited;
    expect(await isAlive(grandchild)).toBe(true);
    expect((await terminate({ ...tree, installationId }, how)).outcome).toBe('stopped');
    expect(await isAlive(grandchild)).toBe(false);
  });

  it('ends all that a run without a record and without its leader has left, whichever of it began first', async () => {
    await using folder = await temporaryFolder();
    const sleep = (detached: boolean) =>
      `require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore', detached: ${detached} })`;
    // The younger one leads a group of its own, the older one does not.
    const tree = await start(
      folder.path,
      `${sleep(false)}; setTimeout(() => { ${sleep(true)}; console.log('up') }, 50); setInterval(() => {}, 1000)`,
    );
    const left = async () => (await markedProcesses(installationId)).length;
    await until('both have their marker', async () => (await left()) === 3);
    process.kill(tree.identity.pid, 'SIGKILL');
    await tree.exited;
    const orphans = await findOrphans(installationId, new Set());
    expect(orphans).toMatchObject([{ instanceId: tree.instanceId, service: 'x' }]);
    for (const orphan of orphans) await terminate({ ...orphan, installationId }, how);
    expect(await left()).toBe(0);
  });

  // What a scan of /proc can miss: a process without an environment during execve(2), a child of the moment before.
  const restless = fileURLToPath(new URL('../../../fixtures/programs/restless.sh', import.meta.url));
  it.each([
    ['exec', 'in the group', false],
    ['fork', 'in the group', false],
    ['exec', 'in a session of its own', true],
    ['fork', 'in a session of its own', true],
  ])('misses none that is in the midst of an exec or fork: %s %s', async (way, _where, detached) => {
    await using folder = await temporaryFolder();
    const on = join(folder.path, 'on');
    writeFileSync(on, '');
    for (let round = 0; round < rounds; round++) {
      const tree = await start(
        folder.path,
        `const { spawn } = require('node:child_process');
         spawn('/bin/sh', ${JSON.stringify([restless, way, on])}, { stdio: 'ignore', detached: ${detached} }).unref();
         console.log('up'); setInterval(() => {}, 1000)`,
      );
      process.kill(tree.identity.pid, 'SIGKILL');
      await tree.exited;
      const { outcome } = await terminate({ ...tree, installationId }, how);
      expect(['stopped', 'killed'], `round ${round}`).toContain(outcome);
      const size = statSync(on).size;
      expect(await lookOften(restless), `round ${round}`).toEqual([]);
      expect(statSync(on).size, `round ${round}`).toBe(size);
    }
  });

  /** A leader with a member of its group that takes no notice of SIGTERM and has no environment, so no marker. */
  const bare = [
    'env',
    [
      '-i',
      process.execPath,
      '-e',
      "process.on('SIGTERM', () => {}); console.log('bare ' + process.pid); setInterval(() => {}, 1000)",
    ],
  ];
  const withBareChild = `require('node:child_process').spawn(...${JSON.stringify(bare)}, { stdio: 'inherit' });
    setInterval(() => {}, 1000)`;

  it('ends what it has seen in the group before the leader went, though it carries no marker', async () => {
    await using folder = await temporaryFolder();
    const tree = await start(folder.path, withBareChild);
    const member = await until('the member', () => identify(Number(/bare (\d+)/.exec(tree.output())?.[1])));
    expect(await terminate({ ...tree, installationId }, how)).toEqual({ outcome: 'killed', survivors: [] });
    expect(await isAlive(member)).toBe(false);
  });

  it('reports, and does not signal, a member of a leaderless group of which nothing proves whose it is', async () => {
    await using folder = await temporaryFolder();
    const tree = await start(folder.path, withBareChild);
    const member = await until('the member', () => identify(Number(/bare (\d+)/.exec(tree.output())?.[1])));
    process.kill(tree.identity.pid, 'SIGKILL');
    await tree.exited;
    try {
      const ended = await terminate({ ...tree, installationId }, { ...how, killWaitMs: 100 });
      expect(ended).toEqual({ outcome: 'unkillable', survivors: [member.pid] });
      expect(await isAlive(member)).toBe(true);
    } finally {
      process.kill(member.pid, 'SIGKILL');
    }
  });

  it('refuses to signal itself, init, or its own group', async () => {
    const self = await identify(process.pid);
    if (self === undefined) throw new Error('no identity');
    const target = { identity: self, installationId, instanceId: randomUUID() as ServiceInstanceId };
    await expect(terminate(target, how)).rejects.toThrow(RangeError);
    const init = await identify(1);
    if (init !== undefined) await expect(terminate({ ...target, identity: init }, how)).rejects.toThrow(RangeError);
  });
});
