import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { buildCore } from '../../src/lib/app/build/core.ts';
import { makeCheckout } from '../helpers/checkout.ts';
import { packageRoot, runCli, startCli } from '../helpers/cli.ts';
import { type ExtensionProject, extensionProject, helloService, serverSource } from '../helpers/extension-project.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

const source = 'extensions/mcp/hello/index.ts';

let system: RunningSystem;
let project: ExtensionProject;
beforeAll(async () => {
  system = await startSystem(async ({ root, projectDir }) => {
    project = extensionProject({ root });
    // What the supervisor would take up by itself is left to the tests.
    const profile = join(projectDir, 'profiles', 'local', 'profile.yaml');
    appendFileSync(profile, '\nruntime:\n  apply_changes: manual\n');
    const { code, stderr } = await runCli(['build', 'mcp'], { cwd: root });
    expect(code, stderr).toBe(0);
  });
});
/** Those that a test has begun and, when it failed, has not ended. */
const watching: ChildProcess[] = [];
afterEach(() => {
  for (const child of watching.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

interface WatchLine {
  readonly event?: string;
  readonly ok?: boolean;
  readonly [key: string]: unknown;
}

/** `build mcp --watch --json`, and what it has said since the last look. */
function watch(): { child: ChildProcess; next(event: string): Promise<WatchLine>; seen(): string[] } {
  const child = startCli(['build', 'mcp', '--watch', '--json'], { cwd: project.root });
  watching.push(child);
  const lines: WatchLine[] = [];
  const seen: string[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(JSON.parse(line) as WatchLine);
  });
  const take = (event: string): WatchLine | undefined => {
    for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
      seen.push(line.event ?? `ok=${line.ok}`);
      if (line.event === event || (event === 'end' && line.ok !== undefined)) return line;
    }
    return undefined;
  };
  return { child, next: (event) => until(event, () => take(event), 60_000), seen: () => seen.splice(0) };
}

async function greeting(): Promise<unknown> {
  return (await system.artifact<{ content: unknown }>('plugins', 'mcp', 'call', 'hello', 'greet')).content;
}

async function runOf(service: string): Promise<unknown> {
  const { items } = await system.artifact<{ items: Record<string, unknown>[] }>('infra', 'services', 'status');
  return items.find(({ name }) => name === service)?.['pid'];
}

it('with --watch it builds what is saved and replaces that server alone; a fault leaves the running one', async () => {
  expect(await greeting()).toBe('hello');
  const api = await runOf('api');
  const { child, next, seen } = watch();
  await next('waiting');
  expect(seen()).toEqual(['unchanged', 'waiting']);

  project.write(source, serverSource({ words: 'good morning' }));
  expect(await next('built')).toMatchObject({ name: 'hello', changed: true });
  expect(await next('applied')).toMatchObject({ services: [{ name: 'mcp:hello', state: 'ready' }], failed: [] });
  expect(await greeting()).toBe('good morning');
  const server = await runOf('mcp:hello');
  await next('waiting');

  project.write(source, serverSource({ words: 'broken', after: 'const x = ;\n' }));
  expect(await next('failed')).toMatchObject({
    issues: [{ file: source, line: 14, column: 11, message: 'Unexpected ";"' }],
  });
  await next('waiting');
  project.write(source, serverSource({ words: 'hangs no more', after: 'throw new Error("no");\n' }));
  expect(await next('failed')).toMatchObject({ issues: [{ line: 14, message: "can't be loaded: Error: no" }] });
  await next('waiting');
  expect(await greeting()).toBe('good morning');

  seen();
  project.write(source, serverSource({ words: 'good morning', after: '// a remark\n' }));
  await next('waiting');
  expect(seen()).toEqual(['built', 'waiting']);
  expect([await runOf('mcp:hello'), await runOf('api')]).toEqual([server, api]);

  child.kill('SIGINT');
  expect(await next('end')).toMatchObject({ ok: true, artifact: { data: { builds: 2 } } });
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(130);
});

it('with --watch other changes are left to a reconcile, and the server is restarted all the same', async () => {
  const { child, next } = watch();
  await next('waiting');
  project.write(
    'services/mcp/other.yaml',
    helloService.replace('hello:', 'other:').replace('mcp/hello', 'mcp/systemprompt').replace('5320', '5321'),
  );
  project.write(source, serverSource({ words: 'good evening' }));
  const { waiting } = await next('applied');
  expect(waiting).toContain('mcp:other');
  expect(await greeting()).toBe('good evening');
  child.kill('SIGINT');
  await next('end');
});

it('an altered file in dist/ is a change that a reconcile takes up, a built one that is the same is none', async () => {
  await system.run('infra', 'services', 'reconcile');
  const steps = async (): Promise<unknown> => {
    const { items } = await system.artifact<{ items: Record<string, unknown>[] }>(
      'infra',
      'services',
      'reconcile',
      '--dry-run',
    );
    return items.find((item) => Object.values(item).includes('mcp:hello'));
  };
  const before = await steps();
  await runCli(['build', 'mcp', '--force'], { cwd: project.root });
  expect(await steps()).toEqual(before);
  project.write(
    'dist/extensions/mcp/hello/index.js',
    `${serverSource({ words: 'altered' }).replaceAll(' as const', '')}`,
  );
  expect(JSON.stringify(await steps())).toMatch(/artefact has changed/);
});

it('a build of what runs says how it comes into force; one that changed nothing has nothing to say', async () => {
  const notes = async (): Promise<unknown> => {
    const { stdout } = await runCli(['build', 'mcp', '--json'], {
      cwd: project.root,
      env: { SYSTEMPROMPT_INVOKED_AS: 'sp' },
    });
    return (JSON.parse(stdout) as { artifact: { notes: unknown } }).artifact.notes;
  };
  project.write(source, serverSource({ words: 'built, not yet running' }));
  expect(await notes()).toEqual(['What runs takes it up when it is told to: sp infra services reconcile']);
  expect(await notes()).toEqual([]);
});

it.each(['SIGINT', 'SIGTERM'] as const)('%s ends a build at once, and leaves what was built', async (signal) => {
  using own = extensionProject();
  await runCli(['build', 'mcp'], { cwd: own.root });
  const output = join(own.root, 'dist/extensions/mcp/hello');
  const before = readFileSync(join(output, 'artifact.json'), 'utf8');
  own.write(source, serverSource({ after: "require('node:fs').writeFileSync('loading', ''); for (;;);\n" }));
  const child = startCli(['build', 'mcp'], { cwd: own.root });
  await until('the module is being loaded', () => existsSync(join(own.root, 'loading')), 30_000);
  const asked = performance.now();
  child.kill(signal);
  await once(child, 'exit');
  expect(child.exitCode).toBe(signal === 'SIGINT' ? 130 : 143);
  expect(performance.now() - asked).toBeLessThan(8_000);
  expect(readFileSync(join(output, 'artifact.json'), 'utf8')).toBe(before);
  expect(readdirSync(join(own.root, 'dist'))).toEqual(['extensions']);
});

it('systemprompt itself is built only where its sources are, and its extensions with it', async () => {
  expect(await runCli(['build', 'core'], { cwd: project.root })).toMatchObject({
    code: 6,
    stderr: expect.stringMatching(/There are no sources of systemprompt in .*\n.*\n.*build mcp/),
  });
  const refused = await runCli(['build', 'mcp'], { cwd: packageRoot });
  expect(refused).toMatchObject({ code: 6, stderr: expect.stringMatching(/built with the core\n.*build core/) });
});

it('in its checkout systemprompt is built as by npm run build, and what the build has against it is said', async () => {
  await using checkout = await makeCheckout();
  const { path } = checkout;
  const build = () => buildCore({ cwd: join(path, 'src'), env: process.env }, new AbortController().signal, path);
  expect(await build()).toMatchObject({ message: expect.stringMatching(/^build: \d+ files in/) });
  await checkout.write('src/commands/hello.ts', "import './nowhere.ts';\n");
  await expect(build()).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringMatching(/src\/commands\/hello\.ts:1:8 {2}Could not resolve/),
  });
});
