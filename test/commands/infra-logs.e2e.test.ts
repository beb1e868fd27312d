import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/until.ts';

interface Entry {
  readonly source: string;
  readonly at: string;
  readonly service: string;
  readonly level?: string;
  readonly message: string;
  readonly trace?: string;
}
interface View {
  readonly data: { readonly entries: readonly Entry[]; readonly missing?: string };
  readonly next_cursor?: string;
}
interface Table {
  readonly items: readonly Record<string, unknown>[];
  readonly notes?: readonly string[];
}

const run = '11111111-1111-4111-8111-111111111111.log';

describe('where nothing runs', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let instance: Instance;
  const cli = (...argv: string[]) => runCli(['infra', 'logs', ...argv], { cwd: folder.path });
  const artifact = async <T>(...argv: string[]) => {
    const { stdout, stderr } = await cli(...argv, '--json');
    expect(stderr).toBe('');
    return (JSON.parse(stdout) as { artifact: T }).artifact;
  };

  beforeAll(async () => {
    folder = await temporaryFolder();
    instance = await createLocalInstance(folder.path);
    mkdirSync(join(instance.logsDir, 'api'), { recursive: true });
    const lines = ['=cmd', 'two, "quoted"', 'three'].map((msg, index) =>
      JSON.stringify({ level: index === 1 ? 'warn' : 'info', time: `2026-01-31T12:00:0${index}.000Z`, msg }),
    );
    writeFileSync(join(instance.logsDir, 'api', run), `${lines.join('\n')}\n`);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it('reads the files alone, and says that the rest is missing', async () => {
    const view = await artifact<View>('view');
    expect(view.data.entries.map(({ message }) => message)).toEqual(['=cmd', 'two, "quoted"', 'three']);
    expect(view.data.missing).toMatch(/^Events and calls are missing: /);
    expect((await cli('view')).stdout).toContain('Events and calls are missing');
    const newest = await artifact<View>('view', '--limit', '2');
    expect(newest.data.entries.map(({ message }) => message)).toEqual(['two, "quoted"', 'three']);
    const older = await artifact<View>('view', '--limit', '2', '--cursor', newest.next_cursor ?? '');
    expect(older.data.entries.map(({ message }) => message)).toEqual(['=cmd']);
    expect((await cli('view', '--cursor', 'nonsense')).code).toBe(2);
    expect((await cli('view', '--trace', 'nonsense')).code).toBe(2);
    const unknown = await cli('view', '--service', 'apj', '--json');
    expect(unknown.code).toBe(3);
  });

  it('searches and counts', async () => {
    const found = await artifact<View>('search', 'QUOTED', '--ignore-case');
    expect(found.data.entries).toMatchObject([{ level: 'warn', service: 'api' }]);
    expect((await artifact<View>('search', '--regex', '^t[a-z]+$')).data.entries).toMatchObject([{ message: 'three' }]);
    expect(await artifact<Table>('summary')).toMatchObject({ items: [{ service: 'api', total: 3, warn: 1, info: 2 }] });
    expect((await artifact<Table>('summary', '--messages', '--level', 'warn')).items).toMatchObject([{ count: 1 }]);
    expect((await cli('audit', '01930000')).code).toBe(3);
  });

  it('writes them to a file that is there as a whole or not at all', async () => {
    const file = join(folder.path, 'out.csv');
    expect((await cli('export', '--format', 'csv', '--output', 'out.csv')).code).toBe(0);
    expect(await readFile(file, 'utf8')).toBe(
      [
        'at,service,level,source,message,facts,trace',
        // No formula for a spreadsheet.
        "2026-01-31T12:00:00.000Z,api,info,lines,'=cmd,,",
        '2026-01-31T12:00:01.000Z,api,warn,lines,"two, ""quoted""",,',
        '2026-01-31T12:00:02.000Z,api,info,lines,three,,',
        '',
      ].join('\r\n'),
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await cli('export', '--output', 'out.csv')).code).toBe(2);
    expect((await cli('export', '--output', 'nowhere/out')).code).toBe(3);
    expect((await cli('export', '--format', 'json', '--output', 'out.csv', '--overwrite')).code).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveLength(3);
    expect((await readdir(folder.path)).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('bears 200 MB with the memory of a small process', async () => {
    mkdirSync(join(instance.logsDir, 'mcp:big'), { recursive: true });
    const text = 'x'.repeat(1_900);
    for (let part = 5; part > 0; part -= 1) {
      const file = openSync(join(instance.logsDir, 'mcp:big', part === 1 ? run : `${run}.${part - 1}`), 'w');
      for (let block = 0; block < 20; block += 1) {
        const time = (index: number): string =>
          new Date(Date.UTC(2026, 0, 31, 6 - part, block, 0, index)).toISOString();
        const lines = Array.from({ length: 1_000 }, (_, index) =>
          JSON.stringify({
            level: 'info',
            time: time(index),
            msg: index === 999 && block === 7 ? 'needle' : `took ${index} ms`,
            text,
          }),
        );
        writeSync(file, `${lines.join('\n')}\n`);
      }
      closeSync(file);
    }
    const small = { cwd: folder.path, env: { NODE_OPTIONS: '--max-old-space-size=128' } };
    const counted = await runCli(['infra', 'logs', 'summary', '--service', 'mcp:big', '--json'], small);
    expect(JSON.parse(counted.stdout)).toMatchObject({ artifact: { items: [{ total: 100_000 }] } });
    const found = await runCli(['infra', 'logs', 'search', 'needle', '--json'], small);
    const { artifact: view } = JSON.parse(found.stdout) as { artifact: View };
    expect(view.data.entries.map(({ at }) => at.slice(11, 16))).toEqual(['01:07', '02:07', '03:07', '04:07', '05:07']);
  });
});

describe('on a system that runs', () => {
  let system: RunningSystem;
  beforeAll(async () => {
    system = await startSystem();
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  it('merges lines, events and calls, and tells all of one call', async () => {
    await system.run(
      'plugins',
      'mcp',
      'call',
      'systemprompt',
      'systemprompt',
      '--arg',
      'command=admin audit show nope',
    );
    const view = await system.artifact<View>('infra', 'logs', 'view', '--limit', '1000');
    const { entries } = view.data;
    expect(view.data).not.toHaveProperty('missing');
    expect(new Set(entries.map(({ source }) => source))).toEqual(new Set(['lines', 'events', 'calls']));
    expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).toSorted());
    const call = entries.find(({ source }) => source === 'calls');
    expect(call).toMatchObject({
      service: 'mcp:systemprompt',
      level: 'warn',
      message: expect.stringContaining('owner called'),
    });
    const trace = call?.trace ?? '';
    interface Story {
      readonly data: {
        readonly call: { readonly executionId: string; readonly userName: string };
        readonly lines: readonly Entry[];
        readonly events: readonly Entry[];
      };
    }
    const { data } = await system.artifact<Story>('infra', 'logs', 'audit', trace.slice(0, 18));
    expect(data.call).toMatchObject({ executionId: trace, userName: 'owner' });
    expect(data.lines).toMatchObject([{ service: 'mcp:systemprompt', trace }]);
    expect(data.events.map(({ service }) => service)).toEqual(expect.arrayContaining(['api', 'mcp:systemprompt']));
    const only = await system.artifact<View>('infra', 'logs', 'view', '--trace', trace);
    expect(only.data.entries.map(({ source }) => source)).toEqual(['calls', 'lines']);
    const events = await system.artifact<View>('infra', 'logs', 'view', '--source', 'events', '--service', 'mcp');
    const changes = events.data.entries.map(({ message }) => message);
    expect([changes[0], changes.at(-1)]).toEqual(['stopped → starting (start)', 'starting → ready (healthy)']);
    // A page at a time it is the same.
    const pages: Entry[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await system.artifact<View>(
        ...['infra', 'logs', 'view', '--limit', '7', '--until', view.data.entries.at(-1)?.at ?? ''],
        ...(cursor === undefined ? [] : ['--cursor', cursor]),
      );
      pages.unshift(...page.data.entries);
      cursor = page.next_cursor;
      if (cursor === undefined) break;
    }
    expect(pages).toEqual(entries);
  });

  it('follows lines and events', async () => {
    const child = startCli(['infra', 'logs', 'stream', '--json', '--lines', '0'], { cwd: system.instance.root });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    // Whatever is printed before it listens is not told: restart until it is.
    await until(
      'an event and a line',
      async () => {
        await system.run('infra', 'services', 'restart', 'mcp:systemprompt');
        return stdout.includes('"source":"events"') && stdout.includes('"source":"lines"');
      },
      60_000,
    );
    child.kill('SIGINT');
    await once(child, 'close');
    expect(child.exitCode).toBe(130);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      ok: true,
      artifact: { type: 'text' },
    });
  });
});
