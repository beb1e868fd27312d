import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, symlinkSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { orphansOf } from '../../src/lib/app/cleanup/orphans.ts';
import { CommandContext } from '../../src/lib/app/command-context.ts';
import { checkDatabase, checkEpoch } from '../../src/lib/app/doctor/running-checks.ts';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { ensureRuntimeDir } from '../../src/lib/infra/config/runtime-dir.ts';
import { type CliRun, cliEnvironment, packageRoot, runCli, runScript } from '../helpers/cli.ts';
import { freePort } from '../helpers/free-port.ts';
import { startSystem } from '../helpers/running-system.ts';
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/until.ts';

interface Check {
  readonly check: string;
  readonly state: string;
  readonly detail: string;
  readonly fix: string | null;
}

const isRoot = process.getuid?.() === 0;
const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;

function checksOf({ stdout, stderr }: Pick<CliRun, 'stdout' | 'stderr'>): Map<string, Check> {
  const { artifact } = JSON.parse(stdout) as { artifact?: { items: readonly Check[] } };
  return new Map((artifact?.items ?? expect.fail(`${stdout}${stderr}`)).map((check) => [check.check, check]));
}

/** Runs the doctor under another program (unshare, a shell that sets a limit). */
async function under(cwd: string, command: readonly string[]): Promise<Map<string, Check>> {
  const [file = '', ...args] = command;
  const run = promisify(execFile)(file, args, { cwd, env: cliEnvironment() });
  return checksOf(await run.catch((error: CliRun) => error));
}

describe('doctor without a running system', () => {
  let folder: TemporaryFolder;
  let instance: Instance;
  let apiPort: number;
  beforeEach(async () => {
    folder = await temporaryFolder();
    instance = await createLocalInstance(folder.path);
    await ensureRuntimeDir(instance);
    apiPort = await freePort();
    await profile(`server:\n  port: ${apiPort}\n`);
  });
  afterEach(async () => {
    await rm(instance.runtimeDir, { recursive: true, force: true });
    await folder[Symbol.asyncDispose]();
  });

  const profile = (text: string): Promise<void> =>
    writeFile(join(instance.dir, 'profiles/local/profile.yaml'), `name: local\n${text}`, { mode: 0o600 });
  const doctor = async (): Promise<Map<string, Check>> =>
    checksOf(await runCli(['doctor', '--json'], { cwd: instance.root }));

  it('fails nothing on a fresh instance, in the order in which things stand on each other', async () => {
    const run = await runCli(['doctor', '--json'], { cwd: instance.root });
    expect(run.code, run.stdout).toBe(0);
    expect([...checksOf(run).keys()]).toEqual([
      ...[
        'runtime',
        'process 1',
        'instance',
        'permissions',
        'keys',
        'configuration',
        'supervisor',
        'port',
        'mcp ports',
      ],
      ...['orphans', 'database', 'migrations', 'epoch', 'clock', 'disk', 'file limits', 'commands', 'api', 'services'],
    ]);
  });

  it('names what is open to others or not ours, and the command that it names mends it', async () => {
    const secrets = join(instance.dir, 'secrets.json');
    const opened = existsSync(secrets) ? secrets : join(instance.dir, 'tenants.json');
    chmodSync(instance.logsDir, 0o755);
    chmodSync(opened, 0o644);
    const run = await runCli(['doctor', '--json'], { cwd: instance.root });
    expect(run.code).toBe(6);
    const found = checksOf(run).get('permissions');
    expect(found).toMatchObject({ state: 'fail', detail: expect.stringContaining(instance.logsDir) });
    expect(found?.detail).toContain(opened);
    expect((JSON.parse(run.stdout) as { error: { hint: string } }).error.hint).toContain(found?.fix);
    expect(spawnSync('sh', ['-c', found?.fix ?? '']).status).toBe(0);
    expect((await doctor()).get('permissions')?.state).toBe('ok');

    chmodSync(instance.dir, 0o755);
    const whole = (await doctor()).get('instance');
    expect(whole).toMatchObject({ state: 'fail', fix: `chmod 700 ${instance.dir}` });
    expect(spawnSync('sh', ['-c', whole?.fix ?? '']).status).toBe(0);
    expect((await doctor()).get('instance')?.state).toBe('ok');
    if (isRoot) {
      chownSync(instance.logsDir, 54_321, 54_321);
      const theirs = (await doctor()).get('permissions');
      expect(theirs).toMatchObject({ state: 'fail', fix: `sudo chown 0 ${instance.logsDir}` });
    }
  });

  it('tells who holds the control socket: nobody any more, or another user', async () => {
    const code = `require('node:net').createServer().listen(${JSON.stringify(instance.controlSocket)})`;
    const holder = spawn(process.execPath, ['-e', code]);
    await until('the socket is bound', () => existsSync(instance.controlSocket));
    chmodSync(instance.controlSocket, 0o600);
    if (isRoot) {
      chownSync(instance.controlSocket, 54_321, 54_321);
      const theirs = await runCli(['doctor', '--json'], { cwd: instance.root });
      expect(theirs.code).toBe(6);
      const reason = 'belongs to the user with id 54321, not to you';
      expect(checksOf(theirs).get('supervisor')).toMatchObject({
        state: 'fail',
        detail: expect.stringContaining(reason),
      });
      for (const command of ['status', 'stop', 'start']) {
        const refused = await runCli(['infra', 'services', command], { cwd: instance.root });
        expect(refused.code, command).toBe(6);
        expect(refused.stderr, command).toContain(reason);
      }
      chownSync(instance.controlSocket, 0, 0);
    }
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect((await doctor()).get('supervisor')).toMatchObject({
      state: 'warn',
      detail: expect.stringContaining('ended without a word'),
    });
  });

  it('names who has the ports', async () => {
    const mcpPort = await freePort();
    await mkdir(join(instance.root, 'services/mcp'), { recursive: true });
    await writeFile(
      join(instance.root, 'services/mcp/one.yaml'),
      `mcp_servers:\n  one:\n    module: extensions/mcp/systemprompt\n    port: ${mcpPort}\n    description: For a test\n    oauth: { scopes: [user] }\n`,
    );
    const ranged = (last: number): Promise<void> =>
      profile(`server:\n  port: ${apiPort}\nports:\n  mcp: [${mcpPort}, ${last}]\n`);
    await ranged(mcpPort);
    expect((await doctor()).get('mcp ports')?.state).toBe('ok');
    const strangers = [apiPort, mcpPort].map((port) => createServer().listen(port, '127.0.0.1'));
    await Promise.all(strangers.map((server) => once(server, 'listening')));
    try {
      const checks = await doctor();
      expect(checks.get('port')).toMatchObject({
        state: 'fail',
        detail: expect.stringContaining(`pid ${process.pid}`),
      });
      expect(checks.get('mcp ports')).toMatchObject({
        state: 'fail',
        detail: expect.stringContaining(`${mcpPort} of one is held by pid ${process.pid}`),
      });
      await ranged(mcpPort + 50);
      expect((await doctor()).get('mcp ports')).toMatchObject({
        state: 'warn',
        detail: expect.stringMatching(/it gets \d+$/),
      });
    } finally {
      for (const server of strangers) server.close();
    }
  });

  it('finds processes of ours that nobody looks after', async () => {
    const orphan = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      env: {
        SYSTEMPROMPT_INSTANCE: instance.id,
        SYSTEMPROMPT_SERVICE: 'mcp:lost',
        SYSTEMPROMPT_SERVICE_INSTANCE: randomUUID(),
      },
      stdio: 'ignore',
    });
    await once(orphan, 'spawn');
    try {
      expect((await doctor()).get('orphans')).toMatchObject({
        state: 'warn',
        detail: expect.stringContaining(`mcp:lost (pid ${orphan.pid})`),
      });
    } finally {
      orphan.kill('SIGKILL');
    }
  });

  it('says when the database does not answer', async () => {
    await using context = new CommandContext({ cwd: instance.root, env: {}, profile: undefined });
    await expect(checkDatabase(context)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  });

  it('says when few files may be open', async () => {
    const limited = (limit: number) =>
      under(instance.root, [
        'sh',
        '-c',
        `ulimit -n ${limit}; exec "$0" "$@"`,
        process.execPath,
        runScript,
        'doctor',
        '--json',
      ]);
    expect((await limited(512)).get('file limits')).toMatchObject({ state: 'fail', fix: 'ulimit -n 65536' });
    expect((await limited(2048)).get('file limits')?.state).toBe('warn');
  });

  it.skipIf(!isRoot || !canUnshare)(
    'says when a disk is full, or has no inodes (needs the right to mount)',
    async () => {
      const mounted = (options: string) =>
        under(instance.root, [
          ...['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o mode=700,${options} tmpfs "$0" && exec "$@"`],
          ...[instance.logsDir, process.execPath, runScript, 'doctor', '--json'],
        ]);
      const space = (await mounted('size=50m')).get('disk');
      expect(space).toMatchObject({ state: 'fail', detail: expect.stringContaining(instance.logsDir) });
      const inodes = (await mounted('size=4g,nr_inodes=500')).get('disk');
      expect(inodes).toMatchObject({ state: 'fail', fix: expect.stringContaining('du --inodes') });
      expect((await mounted('size=500m')).get('disk')?.state).toBe('warn');
    },
  );

  it.skipIf(!canUnshare)('says when process 1 is Node.js (needs the right to unshare)', async () => {
    const inside = ['unshare', '--pid', '--fork', '--mount-proc', process.execPath, runScript, 'doctor', '--json'];
    expect((await under(instance.root, inside)).get('process 1')).toMatchObject({
      state: 'warn',
      detail: expect.stringContaining('docker run --init'),
    });
  });

  it('says when the index of commands is of another version', async () => {
    const copy = join(folder.path, 'copy');
    await mkdir(copy);
    for (const part of ['bin', 'dist', 'services', 'package.json']) {
      cpSync(join(packageRoot, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(packageRoot, 'node_modules'), join(copy, 'node_modules'));
    const manifest = await readFile(join(packageRoot, 'oclif.manifest.json'), 'utf8');
    const old = { ...(JSON.parse(manifest) as object), version: '0.0.1' };
    await writeFile(join(copy, 'oclif.manifest.json'), JSON.stringify(old));
    const checks = await under(instance.root, [process.execPath, join(copy, 'bin/run.js'), 'doctor', '--json']);
    expect(checks.get('commands')).toMatchObject({ state: 'fail', detail: expect.stringContaining('version 0.0.1') });
  });
});

it('doctor of a running system: all is well, and then clock, epoch, orphan and a supervisor that hangs', async () => {
  await using system = await startSystem();
  const { instance } = system;
  const doctor = async (env: Record<string, string> = {}) =>
    await runCli(['doctor', '--json'], { cwd: instance.root, env });
  const well = await doctor();
  expect(well.code, well.stdout).toBe(0);
  for (const name of [
    'permissions',
    'supervisor',
    'port',
    'mcp ports',
    'orphans',
    'database',
    'epoch',
    'clock',
    'services',
  ]) {
    expect(checksOf(well).get(name), name).toMatchObject({ state: 'ok' });
  }

  const ahead = (ms: number) => ({
    NODE_OPTIONS: `--import=data:text/javascript,const%20now=Date.now;Date.now=()=>now()+${ms}`,
  });
  const hour = await doctor(ahead(3_600_000));
  expect(hour.code).toBe(6);
  expect(checksOf(hour).get('clock')).toMatchObject({ state: 'fail', detail: expect.stringContaining('ahead of') });
  expect(checksOf(await doctor(ahead(-5_000))).get('clock')).toMatchObject({
    state: 'warn',
    detail: expect.stringContaining('behind'),
  });

  await using context = new CommandContext({ cwd: instance.root, env: {}, profile: undefined });
  const status = await (await context.supervisor()).status();
  expect((await checkEpoch(context)).state).toBe('ok');
  await using late = new CommandContext({ cwd: instance.root, env: {}, profile: undefined });
  // One that has not noticed yet that another took over.
  const older = { ...status, supervisor: { ...status.supervisor, epoch: status.supervisor.epoch - 1 } };
  late.supervisor = async () => ({ status: async () => older, close() {} }) as never;
  expect(await checkEpoch(late)).toMatchObject({ state: 'fail', detail: expect.stringContaining('took over') });

  const orphan = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    env: {
      SYSTEMPROMPT_INSTANCE: instance.id,
      SYSTEMPROMPT_SERVICE: 'mcp:lost',
      SYSTEMPROMPT_SERVICE_INSTANCE: randomUUID(),
    },
    stdio: 'ignore',
  });
  await once(orphan, 'spawn');
  // Beside a supervisor that runs it counts once it is older than a start takes.
  expect(await orphansOf(instance.id, status)).toEqual([]);
  expect((await orphansOf(instance.id, status, 0)).map(({ service }) => service)).toEqual(['mcp:lost']);
  orphan.kill('SIGKILL');

  const { pid } = status.supervisor;
  process.kill(pid, 'SIGSTOP');
  try {
    const hung = await doctor();
    expect(hung.code).toBe(6);
    expect(checksOf(hung).get('supervisor')).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('does not answer'),
      fix: `kill -9 ${pid}`,
    });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});
