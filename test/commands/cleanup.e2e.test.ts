import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ensureRuntimeDir } from '../../src/lib/infra/config/runtime-dir.ts';
import { identify, isAlive } from '../../src/lib/infra/process/identity.ts';
import { runCli } from '../helpers/cli.ts';
import { footprint, noFootprint } from '../helpers/leaks.ts';
import { startSystem } from '../helpers/running-system.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/until.ts';

interface Card {
  readonly data: { readonly items: readonly { kind: string; what: string; reason: string }[] };
}
const of = (card: Card, kind: string): string[] =>
  card.data.items.filter((item) => item.kind === kind).map(({ what }) => what);

it('lists what is left of an instance that was killed, asks, and removes exactly that', async () => {
  await using folder = await temporaryFolder();
  const instance = await createLocalInstance(folder.path);
  await ensureRuntimeDir(instance);
  const run = (...argv: string[]) => runCli(['infra', 'services', 'cleanup', ...argv], { cwd: instance.root });
  const card = async (...argv: string[]): Promise<Card> => {
    const { stdout, stderr } = await run(...argv, '--json');
    const { artifact } = JSON.parse(stdout) as { artifact?: Card };
    return artifact ?? expect.fail(`${stdout}${stderr}`);
  };
  // A process of ours that nobody has on record, one of another instance, and a socket that its process left.
  const marked = (id: string) =>
    spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      env: {
        PATH: process.env['PATH'],
        SYSTEMPROMPT_INSTANCE: id,
        SYSTEMPROMPT_SERVICE: 'mcp:lost',
        SYSTEMPROMPT_SERVICE_INSTANCE: randomUUID(),
      },
      detached: true,
      stdio: 'ignore',
    });
  const orphan = marked(instance.id);
  const neighbour = marked(randomUUID());
  const listener = spawn(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(instance.controlSocket)})`,
  ]);
  await until('the socket is bound', () => existsSync(instance.controlSocket));
  listener.kill('SIGKILL');
  await once(listener, 'exit');
  await writeFile(join(instance.runDir, 'supervisor.json'), JSON.stringify({ pid: listener.pid, state: 'running' }));
  const half = join(instance.dir, `.secrets.json.${randomUUID()}.tmp`);
  const fresh = join(instance.dir, `.secrets.json.${randomUUID()}.tmp`);
  for (const path of [half, fresh]) await writeFile(path, '{');
  utimesSync(half, 0, 0);
  // The drafts of a process that is gone, and of one that may be at it in another container.
  const [draft = '', freshDraft = ''] = [0, 1].map(() =>
    join(instance.root, `.systemprompt.new-${listener.pid}-${randomUUID()}`),
  );
  for (const path of [draft, freshDraft]) await mkdir(path);
  utimesSync(draft, 0, 0);
  const logs = join(instance.logsDir, 'api');
  await mkdir(logs, { recursive: true });
  const runs = Array.from({ length: 12 }, () => randomUUID());
  for (const [index, id] of runs.entries()) {
    await writeFile(join(logs, `${id}.log`), 'x');
    utimesSync(join(logs, `${id}.log`), 1000 + index, 1000 + index);
  }
  const rotated = join(logs, `${runs[0]}.log.1`);
  await writeFile(rotated, 'x');
  utimesSync(rotated, 900, 900);
  const dropped = join(instance.logsDir, 'mcp:dropped', `${randomUUID()}.log`);
  await mkdir(join(instance.logsDir, 'mcp:dropped'));
  await writeFile(dropped, 'x');

  try {
    const listed = await card('--dry-run');
    const old = [rotated, ...runs.slice(0, 2).map((id) => join(logs, `${id}.log`))];
    expect(of(listed, 'process')).toEqual([`${orphan.pid} mcp:lost`]);
    expect(of(listed, 'socket')).toContain(instance.controlSocket);
    expect(of(listed, 'run file')).toEqual([join(instance.runDir, 'supervisor.json')]);
    expect(of(listed, 'half-written file')).toEqual([half]);
    expect(of(listed, 'draft')).toEqual([draft]);
    expect(of(listed, 'log').sort()).toEqual([...old, dropped].sort());

    const refused = await run();
    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain(dropped);
    expect(await isAlive((await identify(orphan.pid ?? 0)) ?? expect.fail('it was ended'))).toBe(true);

    const removed = await card('--yes');
    expect(of(removed, 'process')).toEqual([`${orphan.pid} mcp:lost`]);
    await until('the orphan is gone', async () => (await identify(orphan.pid ?? 0)) === undefined);
    expect(await identify(neighbour.pid ?? 0)).toBeDefined();
    expect(existsSync(freshDraft)).toBe(true);
    for (const path of [instance.controlSocket, half, draft, dropped, ...old])
      expect(existsSync(path), path).toBe(false);
    expect(existsSync(fresh)).toBe(true);
    expect(await readdir(logs)).toHaveLength(10);
    const mine = (await card('--dry-run')).data.items.filter(({ what }) => what.includes(instance.root));
    expect(mine).toEqual([]);
  } finally {
    neighbour.kill('SIGKILL');
    orphan.kill('SIGKILL');
    await rm(instance.runtimeDir, { recursive: true, force: true });
  }
});

it('touches nothing that a running supervisor has on record, and ends everything after it was killed', async () => {
  await using system = await startSystem();
  const status = await system.artifact<{ title: string }>('infra', 'services', 'status');
  const busy = await system.artifact<Card>('infra', 'services', 'cleanup', '--yes');
  expect(of(busy, 'process')).toEqual([]);
  expect((await fetch(`${system.url}/healthz`)).status).toBe(200);

  process.kill(Number(/supervisor (\d+)/.exec(status.title)?.[1]), 'SIGKILL');
  await until('the supervisor is gone', async () =>
    (await system.artifact<{ title: string }>('infra', 'services', 'status')).title.startsWith('No supervisor'),
  );
  const removed = await system.artifact<Card>('infra', 'services', 'cleanup', '--yes');
  expect(of(removed, 'process').map((what) => what.split(' ')[1])).toEqual(
    expect.arrayContaining(['api', 'database', 'mcp:systemprompt']),
  );
  const { id, runtimeDir, dir } = system.instance;
  const port = Number(new URL(system.url).port);
  expect(await footprint({ installationId: id, ports: [port, port], runtimeDir, dir })).toEqual(noFootprint);
  // The data is still there: the next start finds it.
  expect((await system.run('infra', 'services', 'start')).code).toBe(0);
});
