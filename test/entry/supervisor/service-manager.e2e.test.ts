import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SupervisorClient } from '../../../src/lib/app/supervisor/client.ts';
import { rootInstanceDir } from '../../../src/lib/infra/process/postgres-place.ts';
import { cliEnvironment, packageRoot } from '../../helpers/cli.ts';
import { freePort } from '../../helpers/free-port.ts';
import { footprint, noFootprint } from '../../helpers/leaks.ts';
import { createPreparedInstance } from '../../helpers/prepared-cluster.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

/** Stands for systemd's program: notes each message in the file that is named as the socket. */
const recorder = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$NOTIFY_SOCKET"\n';

it('tells systemd of boot, readiness, signs of life from the path that serves, and the stop', async () => {
  await using folder = await temporaryFolder();
  const root = join(folder.path, 'project');
  const programs = join(folder.path, 'bin');
  const messages = join(folder.path, 'messages');
  await Promise.all([mkdir(root), mkdir(programs), writeFile(messages, '')]);
  await writeFile(join(programs, 'systemd-notify'), recorder, { mode: 0o755 });
  const instance = await createPreparedInstance(root);
  const profile = join(instance.dir, 'profiles', 'local', 'profile.yaml');
  const port = await freePort();
  await writeFile(profile, (await readFile(profile, 'utf8')).replace('port: 8080', `port: ${port}`));
  const heard = async (): Promise<string[]> =>
    (await readFile(messages, 'utf8')).split('\n').filter((line) => line !== '');
  const env = cliEnvironment({
    SYSTEMPROMPT_ROOT: root,
    SYSTEMPROMPT_PROFILE: 'local',
    PATH: `${programs}:${process.env['PATH']}`,
    NOTIFY_SOCKET: messages,
    WATCHDOG_USEC: '1000000',
  });
  const supervisor = spawn(process.execPath, [join(packageRoot, 'dist/entry/supervisor/main.js'), '--log-file'], {
    cwd: '/',
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(supervisor, 'exit');
  let printed = '';
  supervisor.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  try {
    const first = await until('a first message', async () => (await heard())[0], 20_000);
    expect(first).toBe('EXTEND_TIMEOUT_USEC=60000000 STATUS=Starting');
    const ready = await until('READY', async () => (await heard()).find((line) => line.startsWith('READY=1')), 60_000);
    expect(ready).toMatch(/^READY=1 STATUS=(\d+) of \1 services ready$/);
    const client = await SupervisorClient.connect(instance.controlSocket);
    expect((await client.status()).supervisor.state).toBe('running');
    client.close();
    const alive = async () => (await heard()).filter((line) => line.startsWith('WATCHDOG=1')).length;
    await until('two signs of life', async () => (await alive()) >= 2);

    // Timers go on, but the socket can't be reached: no sign of life.
    await rename(instance.controlSocket, `${instance.controlSocket}.away`);
    await until('the log tells of it', async () =>
      (await readFile(join(instance.logsDir, 'supervisor.log'), 'utf8')).includes('does not answer its own supervisor'),
    );
    const before = await alive();
    const marks = async () =>
      (await readFile(join(instance.logsDir, 'supervisor.log'), 'utf8')).split('does not answer its own').length;
    const since = await marks();
    await until('two more failures', async () => (await marks()) >= since + 2);
    expect(await alive()).toBe(before);
    await rename(`${instance.controlSocket}.away`, instance.controlSocket);
    await until('a sign of life again', async () => (await alive()) > before);
  } finally {
    supervisor.kill('SIGTERM');
    await ended;
  }
  const kinds = (await heard()).map((line) => line.split(/[= ]/)[0]);
  expect(kinds.filter((kind, index) => kind !== kinds[index - 1])).toEqual([
    'EXTEND_TIMEOUT_USEC',
    'READY',
    'WATCHDOG',
    'STOPPING',
  ]);
  expect(supervisor.exitCode).toBe(0);
  expect(printed).toBe('');
  const { id, runtimeDir, dir } = instance;
  expect(await footprint({ installationId: id, ports: [port, port], runtimeDir, dir })).toEqual(noFootprint);
  for (const path of [runtimeDir, rootInstanceDir(id)]) await rm(path, { recursive: true, force: true });
});
