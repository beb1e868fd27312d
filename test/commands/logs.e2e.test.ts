import { once } from 'node:events';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/until.ts';

interface Shown {
  readonly artifact: { readonly data: { readonly lines: readonly Record<string, unknown>[] } };
  readonly error: { readonly code: string; readonly next: readonly string[] };
}

describe('infra services logs, when nothing runs', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let instance: Instance;
  const run = (...argv: string[]) => runCli(['infra', 'services', 'logs', ...argv], { cwd: folder.path });
  const json = async (...argv: string[]) => JSON.parse((await run(...argv, '--json')).stdout) as Shown;
  const messages = async (...argv: string[]) => (await json(...argv)).artifact.data.lines.map(({ msg }) => msg);
  const file = (service: string): string => join(instance.logsDir, service, '11111111-1111-4111-8111-111111111111.log');

  beforeAll(async () => {
    folder = await temporaryFolder();
    instance = await createLocalInstance(folder.path);
    for (const service of ['api', 'mcp:one', 'database'])
      mkdirSync(join(instance.logsDir, service), { recursive: true });
    const line = (at: Date, level: string, msg: string) =>
      `${JSON.stringify({ level, time: at.toISOString(), msg })}\n`;
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000);
    writeFileSync(file('api'), line(ago(30), 'info', 'old') + line(ago(5), 'warn', 'password=hunter2'));
    writeFileSync(file('mcp:one'), line(ago(10), 'error', 'bad'));
    writeFileSync(file('database'), `${ago(20).toISOString().replace('T', ' ').replace('Z', ' UTC')} [7] LOG:  up\n`);
    writeFileSync(join(instance.logsDir, 'supervisor.log'), line(ago(1), 'info', 'stopped'));
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it('reads the files, merged by time, by name, kind, level and since', async () => {
    expect(await messages()).toEqual(['old', 'up', 'bad', 'password=[redacted]']);
    expect(await messages('mcp')).toEqual(['bad']);
    expect(await messages('api', '--service', 'database')).toEqual(['old', 'up', 'password=[redacted]']);
    expect(await messages('supervisor')).toEqual(['stopped']);
    expect(await messages('--level', 'warn', 'api')).toEqual(['password=[redacted]']);
    expect(await messages('--since', '15m')).toEqual(['bad', 'password=[redacted]']);
    expect(await messages('api', '-n', '1')).toEqual(['password=[redacted]']);
    const [up] = (await json('database')).artifact.data.lines;
    expect(up).toMatchObject({ service: 'database', level: 'info', msg: 'up', time: expect.stringMatching(/Z$/) });
    expect((await run('mcp:one')).stdout).toMatch(/^\d{4}-\S+Z {2}mcp:one {2}error {2}bad\n$/);
  });

  it('names what is like an unknown service, and refuses what is no time', async () => {
    const unknown = await run('apj', '--json');
    expect(unknown.code).toBe(3);
    expect((JSON.parse(unknown.stdout) as Shown).error).toMatchObject({
      code: 'NOT_FOUND',
      next: [expect.stringMatching(/infra services logs api$/)],
    });
    expect((await run('--since', 'yesterday')).code).toBe(2);
  });

  it('follows, and ends with the envelope', async () => {
    const following = startCli(['infra', 'services', 'logs', 'api', '--follow', '--lines', '1', '--json'], {
      cwd: folder.path,
    });
    let stdout = '';
    following.stdout?.on('data', (text) => {
      stdout += text;
    });
    await until('the last line', () => stdout.includes('redacted'), 30_000);
    appendFileSync(file('api'), 'a new one\n');
    await until('the new line', () => stdout.includes('a new one'), 30_000);
    following.kill('SIGINT');
    await once(following, 'close');
    expect(following.exitCode).toBe(130);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, -1)).toMatchObject([{ msg: 'password=[redacted]' }, { msg: 'a new one', service: 'api' }]);
    expect(lines.at(-1)).toMatchObject({ ok: true, artifact: { type: 'text', data: { count: 2 } } });
  });
});
