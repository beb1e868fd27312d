import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLocalInstance, locateInstance } from '../../src/lib/infra/config/instance.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { type CliRun, runCli, startCli } from '../helpers/cli.ts';
import { freePort } from '../helpers/free-port.ts';
import { footprint, noFootprint } from '../helpers/leaks.ts';
import { createPreparedInstance } from '../helpers/prepared-cluster.ts';
import { until } from '../helpers/until.ts';

interface Row {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly port: number | null;
  readonly since: string | null;
  readonly restarts: number;
}

let root: string;
let port: number;

/** A start that waits ten seconds for a database that is not there: begun before the other tests, and looked at among them. */
let unreachable: {
  readonly root: string;
  readonly port: number;
  readonly away: number;
  readonly ended: Promise<CliRun>;
};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'systemprompt-services-'));
  await createLocalInstance(folder);
  const [own, away] = [await freePort(), await freePort()];
  const profile = join(folder, '.systemprompt', 'profiles', 'local', 'profile.yaml');
  const text = await readFile(profile, 'utf8');
  await writeFile(
    profile,
    `${text.replace(/^database:.*\n( .*\n)*/m, '')}\ndatabase:\n  url: postgres://u:p@127.0.0.1:${away}/db\n`,
  );
  const ended = runCli(['infra', 'services', 'start', '--port', String(own)], { cwd: folder });
  unreachable = { root: folder, port: own, away, ended };
});
afterAll(async () => {
  await unreachable.ended;
  await rm(unreachable.root, { recursive: true, force: true });
});

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'systemprompt-services-'));
  port = await freePort();
});
afterEach(async () => {
  await run('infra', 'services', 'stop', '--now');
  const instance = await locateInstance(root, {});
  for (const path of instance === undefined ? [root] : [root, instance.runtimeDir, rootInstanceDir(instance.id)])
    await rm(path, { recursive: true, force: true });
});

const run = (...argv: string[]): Promise<CliRun> => runCli(argv, { cwd: root, env: { SYSTEMPROMPT_INVOKED_AS: 'sp' } });
const start = (...flags: string[]): Promise<CliRun> =>
  run('infra', 'services', 'start', '--port', String(port), ...flags);

async function rows(): Promise<Row[]> {
  const { stdout } = await run('infra', 'services', 'status', '--json');
  return JSON.parse(stdout).artifact.items;
}

/** Which processes there are; what the checks find of them changes by itself. */
function processes(services: readonly Row[]): unknown {
  return services.map(({ name, state, pid, port: at, since, restarts }) => ({
    name,
    state,
    pid,
    at,
    since,
    restarts,
  }));
}

async function leftBehind(): Promise<unknown> {
  const instance = await locateInstance(root, {});
  if (instance === undefined) throw new Error('there is no instance');
  const { id, runtimeDir, dir } = instance;
  return await footprint({ installationId: id, ports: [port, port], runtimeDir, dir });
}

/** The supervisor says its last word to the socket some milliseconds before it is gone itself. */
async function nothingLeft(): Promise<void> {
  const gone = async () => JSON.stringify(await leftBehind()) === JSON.stringify(noFootprint);
  await until('nothing is left', gone, 5000).catch(async () => expect(await leftBehind()).toEqual(noFootprint));
}

async function listen(wanted: number): Promise<Server> {
  const server = createServer();
  server.listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('in the background', () => {
  it('starts from nothing, says what to do next, starts once, restarts and stops', async () => {
    const first = await start();
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain(`Created the local instance in ${join(root, '.systemprompt')}`);
    expect(first.stderr).toMatch(/database ready: in [\d.]+ m?s, pid \d+/);
    expect(first.stderr).toMatch(/api ready: in [\d.]+ m?s, pid \d+, port \d+/);
    const url = `http://localhost:${port}`;
    const token = 'sp admin session login --server systemprompt --token-only';
    expect(first.stdout).toContain('systemprompt is running');
    expect(first.stdout).toContain(`${url}/api/v1/mcp/systemprompt/mcp`);
    expect(first.stdout).toContain(`claude mcp add --transport http systemprompt ${url}/api/v1/mcp/systemprompt/mcp\n`);
    expect(first.stdout).toContain(token);
    expect(first.stdout).toContain('sp infra services stop');

    const running = await rows();
    expect(running.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'database ready',
      'api ready',
      'mcp:systemprompt ready',
    ]);

    const second = await start();
    expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining('systemprompt is running already') });
    expect(second.stdout).toContain(url);
    expect(second.stdout).not.toContain('was not applied');
    expect(processes(await rows())).toEqual(processes(running));

    const elsewhere = String(port === 65_535 ? port - 1 : port + 1);
    const moved = await run('infra', 'services', 'start', '--port', elsewhere);
    expect(moved.code).toBe(0);
    expect(moved.stdout).toContain(`Port ${port} stays: --port ${elsewhere} was not applied`);
    expect(moved.stdout).toMatch(
      new RegExp(`sp infra services stop\\n +sp infra services start --port ${elsewhere}\\n`),
    );
    expect(processes(await rows())).toEqual(processes(running));

    const restarted = await run('infra', 'services', 'restart', 'mcp:systemprompt');
    expect(restarted.code, restarted.stderr).toBe(0);
    const after = await rows();
    expect(after[2]?.state).toBe('ready');
    expect(after[2]?.pid).not.toBe(running[2]?.pid);
    expect(after[1]?.pid).toBe(running[1]?.pid);

    const stopped = await run('infra', 'services', 'stop');
    expect(stopped).toMatchObject({ code: 0, stdout: 'Stopped database, api, mcp:systemprompt.\n' });
    expect(stopped.stderr.indexOf('api stopped')).toBeLessThan(stopped.stderr.indexOf('database stopped'));
    await nothingLeft();

    expect(await run('infra', 'services', 'stop')).toEqual({ code: 0, stdout: 'Nothing is running.\n', stderr: '' });
    expect((await rows()).map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
    expect((await run('infra', 'services', 'restart')).code).toBe(6);
    expect((await run('admin', 'audit', 'list')).code).toBe(6);
  });

  it('a start that loses to a stop says that it was stopped', async () => {
    const child = startCli(['infra', 'services', 'start', '--port', String(port)], { cwd: root });
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    const ended = once(child, 'close');
    await until('it is starting', () => stderr.includes('database starting'), 30_000);
    expect((await run('infra', 'services', 'stop')).code).toBe(0);
    await ended;
    expect({ code: child.exitCode, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('It was stopped while it was starting'),
    });
    await nothingLeft();
  });

  it('stops, starts and restarts by name and by kind, and says what was so already', async () => {
    const early = await run('infra', 'services', 'start', 'mcp');
    expect(early.code, early.stderr).toBe(6);
    await createPreparedInstance(root);
    expect((await start()).code).toBe(0);
    const stopped = await run('infra', 'services', 'stop', 'mcp');
    expect(stopped, stopped.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('Stopped mcp:') });
    expect((await rows()).map(({ state }) => state)).toEqual(['ready', 'ready', 'stopped']);
    const again = await run('infra', 'services', 'stop', 'mcp:systemprompt');
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('mcp:systemprompt was already stopped');

    const started = await run('infra', 'services', 'start', 'mcp:systemprompt');
    expect(started.code, started.stderr).toBe(0);
    expect(started.stdout).toMatch(/^Started mcp:systemprompt\n/);
    expect((await run('infra', 'services', 'start', 'mcp')).stdout).toContain('mcp:systemprompt was already running');
    expect((await run('infra', 'services', 'stop', 'mcp', '--no-wait')).stdout).toMatch(/on the way|Stopped/);
    await until('it has stopped', async () => (await rows())[2]?.state === 'stopped');
    expect((await start()).code).toBe(0);
    expect((await rows()).map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);

    const base = await run('infra', 'services', 'restart', 'database');
    expect(base.code, base.stderr).toBe(0);
    expect(base.stdout).toContain('api and mcp:systemprompt stand on database, and were not restarted');

    const filtered = await run('infra', 'services', 'status', 'database', 'api', '--json');
    expect(JSON.parse(filtered.stdout).artifact.items.map(({ name }: Row) => name)).toEqual(['database', 'api']);
    for (const verb of ['stop', 'start', 'restart', 'status']) {
      const unknown = await run('infra', 'services', verb, 'systemprmpt');
      expect({ code: unknown.code, stdout: unknown.stdout }, verb).toEqual({ code: 3, stdout: '' });
      expect(unknown.stderr).toContain('Did you mean mcp:systemprompt?');
    }
    expect((await run('infra', 'services', 'stop', 'api', '--all')).code).toBe(2);
    expect((await rows()).map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
    expect((await run('infra', 'services', 'stop', '--all')).stdout).toContain('Stopped database, api');
    await nothingLeft();
  });

  it('shows logs, and follows them until it is interrupted', async () => {
    await createPreparedInstance(root);
    expect((await start()).code).toBe(0);
    const logs = await run('infra', 'services', 'logs', 'database', '--lines', '5', '--json');
    expect(JSON.parse(logs.stdout).artifact.data.lines.length).toBeGreaterThan(0);

    const following = startCli(['infra', 'services', 'logs', 'database', '--follow', '--json'], { cwd: root });
    let stdout = '';
    following.stdout?.on('data', (text) => {
      stdout += text;
    });
    await until('a line', () => stdout.includes('\n'));
    following.kill('SIGINT');
    await once(following, 'close');
    expect(following.exitCode).toBe(130);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({ ok: true, artifact: { type: 'text' } });
    expect(lines[0]).toMatchObject({ service: 'database', line: expect.any(String) });
  });
});

describe('what keeps it from starting', () => {
  it('a stranger on the port is named, left alone, and the flag for another port too', async () => {
    const stranger = await listen(port);
    try {
      const text = await start();
      expect(text).toMatchObject({ code: 6, stdout: '' });
      expect(text.stderr).toContain(String(port));
      expect(text.stderr).toContain(`process ${process.pid} (`);
      expect(text.stderr).toContain('--port');
      const json = await start('--json');
      expect(json.code).toBe(6);
      expect(JSON.parse(json.stdout).error.code).toBe('PORT_TAKEN');
      expect(stranger.listening).toBe(true);
      expect(await leftBehind()).toEqual({ ...noFootprint, ports: [port] });
    } finally {
      stranger.close();
    }
  });

  it('broken configuration: every finding with its place, nothing started', async () => {
    await mkdir(join(root, 'services', 'mcp'), { recursive: true });
    const file = join(root, 'services', 'mcp', 'broken.yaml');
    await writeFile(
      file,
      [
        'mcp_servers:',
        '  one:',
        '    prot: 5001',
        '    module: x',
        '  two:',
        '    port: nonsense',
        '    module: y',
      ].join('\n'),
    );
    const { code, stdout, stderr } = await start();
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toMatch(/broken\.yaml:3:5 /);
    expect(stderr).toMatch(/broken\.yaml:6:11 /);
    expect(stderr).not.toContain('stopp');
    await nothingLeft();
    const again = await start('--json');
    expect(JSON.parse(again.stdout).error.code).toBe('CONFIG_INVALID');
  });

  it('an unreachable database: exit code 6 after a bounded wait, with the reason', async () => {
    await rm(root, { recursive: true });
    ({ root, port } = unreachable);
    const { code, stderr } = await unreachable.ended;
    expect(code, stderr).toBe(6);
    expect(stderr).toContain(String(unreachable.away));
    expect(stderr).toMatch(/refused|nothing listens/i);
    await nothingLeft();
  });
});

describe('in the foreground', () => {
  beforeEach(async () => void (await createPreparedInstance(root)));

  /** Starts, waits until everything runs, sends the signals, and waits for the end. */
  async function foreground(
    signals: readonly NodeJS.Signals[],
    { gapMs = 300, flags = [] }: { gapMs?: number; flags?: readonly string[] } = {},
  ): Promise<CliRun> {
    const argv = ['infra', 'services', 'start', '--foreground', '--port', String(port), ...flags];
    const child = startCli(argv, { cwd: root });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    await until('it runs', () => stdout.includes('systemprompt is running') || child.exitCode !== null, 60_000);
    const ended = once(child, 'close');
    for (const [index, signal] of signals.entries()) {
      child.kill(signal);
      if (index + 1 === signals.length) break;
      await until('the first signal was heard', () => stderr.includes('Stopping'));
      await delay(gapMs); // the same signal sooner than after 250 ms is the same one
    }
    await until('it ended', () => child.exitCode !== null, 40_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${stderr}`);
    });
    await ended;
    return { code: child.exitCode, stdout, stderr };
  }

  it('Ctrl-C stops everything gracefully and says what a second one does', async () => {
    const { code, stderr } = await foreground(['SIGINT']);
    expect(code).toBe(130);
    expect(stderr).toContain('Ctrl-C again stops at once');
    expect(stderr).toContain('database stopped');
    await nothingLeft();
  });

  it('Ctrl-C twice stops at once', async () => {
    const { code, stderr } = await foreground(['SIGINT', 'SIGINT']);
    expect(code).toBe(130);
    // Whose end it is stands in every line.
    expect(stderr).not.toMatch(/^(stopping|stopped)$/m);
    await nothingLeft();
  });

  it('Ctrl-C that npm passes on a second time, 20 ms later, still stops gracefully', async () => {
    const { code, stderr } = await foreground(['SIGINT', 'SIGINT'], { gapMs: 20 });
    expect(code).toBe(130);
    expect(stderr).toContain('database stopped');
    expect(stderr).not.toContain('stopping at once');
    await nothingLeft();
  });

  it('SIGTERM stops gracefully; in JSON mode the last line is the envelope', async () => {
    const { code, stdout } = await foreground(['SIGTERM'], { flags: ['--json'] });
    expect(code).toBe(143);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toEqual({ ok: true, artifact: { type: 'text', content: 'Stopped.' } });
    expect(lines[0].artifact.type).toBe('presentation_card');
    await nothingLeft();
  });

  it('ends with success when somebody else stops the system', async () => {
    const child = startCli(['infra', 'services', 'start', '--foreground', '--port', String(port)], { cwd: root });
    let stdout = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    await until('it runs', () => stdout.includes('systemprompt is running'), 60_000);
    const ended = once(child, 'close');
    await run('infra', 'services', 'stop');
    await ended;
    expect(child.exitCode).toBe(0);
  });
});
