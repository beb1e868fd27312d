import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cliEnvironment, runScript } from '../helpers/cli.ts';
import { runInTerminal } from '../helpers/pseudo-terminal.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

interface Envelope {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string; readonly next: readonly string[] };
  readonly artifact?: { readonly items: Record<string, unknown>[]; readonly data: Record<string, unknown> };
}

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system?.[Symbol.asyncDispose]());

const json = async (...argv: string[]) => {
  const { code, stdout } = await system.run('infra', 'db', ...argv, '--json');
  return { code, ...(JSON.parse(stdout) as Envelope) };
};
/** The command with something on its standard input. */
async function piped(
  text: string | undefined,
  ...argv: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [runScript, 'infra', 'db', ...argv], {
    cwd: system.instance.root,
    env: cliEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  if (text !== undefined) child.stdin.end(text);
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

describe('the database of a system that runs', () => {
  test('is asked by argument, by file and by standard input', async () => {
    expect(await json('query', 'SELECT name FROM services ORDER BY name LIMIT 1')).toMatchObject({
      code: 0,
      artifact: { items: [{ name: 'api' }] },
    });
    await writeFile(join(system.instance.root, 'q.sql'), 'SELECT 2 AS n\n');
    expect((await json('query', '--file', 'q.sql')).artifact?.items).toEqual([{ n: 2 }]);
    const fromPipe = await piped('SELECT 3 AS n', 'query', '--json');
    expect(JSON.parse(fromPipe.stdout)).toMatchObject({ artifact: { items: [{ n: 3 }] } });
    expect(await json('query', '--file', 'nope.sql')).toMatchObject({ code: 3 });
    expect(await json('query', 'SELECT 1', '--file', 'q.sql')).toMatchObject({ code: 2 });
    // A pipe that nobody writes to, as under many a program: no wait for ever.
    const silent = await piped(undefined, 'query');
    expect(silent).toMatchObject({ code: 2, stderr: expect.stringContaining('within 5 s') });
  });

  test('shows its tables; refuses what would change it, and what is secret', async () => {
    expect((await json('tables', '--filter', 'AUDIT.TOOL_')).artifact?.items.map(({ table }) => table)).toEqual([
      'audit.tool_intents',
      'audit.tool_outcomes',
    ]);
    expect(await json('count', 'users')).toMatchObject({
      code: 0,
      artifact: { data: { table: 'users', rows: expect.any(Number) } },
    });
    expect(await json('count', 'systemprompt_migrations.users')).toMatchObject({ code: 0 });
    expect(await json('describe', 'usres')).toMatchObject({ code: 3, error: { message: 'There is no table usres.' } });
    expect(await json('describe', 'users')).toMatchObject({ code: 0 });
    expect(await json('indexes', '--table', 'users')).toMatchObject({ code: 0 });
    expect(await json('size')).toMatchObject({ code: 0 });
    expect(await json('query', 'DELETE FROM users')).toMatchObject({ code: 4 });
    expect(await json('query', 'SELECT private_jwe FROM signing_keys')).toMatchObject({ code: 4 });
    expect(await json('query', 'SELECT pg_sleep(9)', '--timeout', '1s')).toMatchObject({ code: 7 });
    expect(
      await json('query', '--write', "INSERT INTO users (name, display_name, roles) VALUES ('me', 'Me', '{}')"),
    ).toMatchObject({ code: 0 });
  });

  test('is talked to at a terminal: several lines, history, commands, an error, an interrupt', async () => {
    const shell = runInTerminal(['infra', 'db', 'shell'], { cwd: system.instance.root });
    await shell.shows('systemprompt=> ');
    shell.type('SELECT 1 +\r');
    await shell.shows('-> ');
    shell.type('41 AS answer;\r');
    await shell.shows('42');
    shell.type('\\d users\r');
    await shell.shows('users_pkey');
    shell.type('DELETE FROM users;\r');
    await shell.shows('--write changes data');
    shell.type("SELECT pg_sleep(60), 'long';\r");
    await shell.shows("'long';");
    await until('it runs', async () => {
      const { artifact } = await json(
        'query',
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()",
      );
      return artifact?.items[0]?.['n'] === 1 ? true : undefined;
    });
    shell.type('\u0003');
    await shell.shows('The statement was ended');
    shell.type('\\q\r');
    expect(await shell.ended()).toBe(0);
    const history = join(system.instance.dir, 'db-shell-history');
    expect(await readFile(history, 'utf8')).toContain('41 AS answer;\n\\d users\n');
    expect((await stat(history)).mode & 0o777).toBe(0o600);
  });

  test('runs what comes through a pipe, until something fails', async () => {
    const ran = await piped("SELECT 1 AS one;\nSELECT 'a\nb' AS two; \\dt\n", 'shell', '--json');
    const last = ran.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Envelope);
    expect(ran).toMatchObject({ code: 2 });
    expect(last[1]?.artifact?.items).toEqual([{ two: 'a\nb' }]);
    const failed = await piped('SELECT 1 AS one;\nSELECT nope;\nSELECT 3 AS three;', 'shell');
    expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining('nope') });
    expect(failed.stdout).toContain('one');
    expect(failed.stdout).not.toContain('three');
    expect(await piped("UPDATE users SET display_name = 'x' WHERE false;", 'shell', '--write')).toMatchObject({
      code: 0,
    });
    expect(await piped("UPDATE users SET display_name = 'x' WHERE false;", 'shell')).toMatchObject({ code: 4 });
  });

  test('through the systemprompt tool is asked by an admin, and not changed', async () => {
    const call = async (command: string) => {
      const ran = await system.run(
        'plugins',
        'mcp',
        'call',
        'systemprompt',
        'systemprompt',
        '--arg',
        `command=${command}`,
        '--json',
      );
      return ran.stdout;
    };
    expect(await call('infra db query "SELECT 41 + 1 AS answer"')).toContain('42');
    expect(await call('infra db query --write "DELETE FROM users"')).toContain('machine itself only');
    expect(await call('infra db query --file /etc/passwd')).toContain('machine itself only');
    expect(await call('infra db backup')).toContain('machine itself only');
  });

  test('is backed up while it runs, comes back when it is stopped, and starts again with what it had', async () => {
    const { root } = system.instance;
    expect(await json('backup', '--output', 'one.backup')).toMatchObject({
      code: 0,
      artifact: { data: { skipped: [] } },
    });
    expect(existsSync(join(root, 'one.backup'))).toBe(true);
    expect(await json('backup', '--output', 'one.backup')).toMatchObject({ code: 1 });
    for (const line of [
      ['restore', 'one.backup', '--yes'],
      ['reset', '--yes'],
    ]) {
      expect(await json(...line)).toMatchObject({
        code: 6,
        error: { next: [expect.stringContaining('infra services stop')] },
      });
    }
    expect(await json('query', '--write', "UPDATE users SET display_name = 'After' WHERE name = 'me'")).toMatchObject({
      code: 0,
    });
    await system.run('infra', 'services', 'stop');
    expect(await json('restore', 'one.backup')).toMatchObject({ code: 5, error: { code: 'ANSWER_NEEDED' } });
    expect(await json('restore', 'one.backup', '--dry-run')).toMatchObject({ code: 0 });
    expect(await json('reset', '--yes')).toMatchObject({ code: 0 });
    expect(await json('migrate')).toMatchObject({ code: 0, artifact: { items: [] } });
    expect(await json('restore', 'one.backup', '--yes')).toMatchObject({ code: 0 });
    expect(await system.run('infra', 'services', 'start')).toMatchObject({ code: 0 });
    expect((await json('query', 'SELECT display_name FROM users WHERE name = $$me$$')).artifact?.items).toEqual([
      { display_name: 'Me' },
    ]);
    // Sign-ins work with the keys that came back.
    expect((await system.run('plugins', 'mcp', 'tools', 'systemprompt')).code).toBe(0);
  });
});
