import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { type CliLoop, openCliLoop } from '../../helpers/cli.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const loop: CliLoop = openCliLoop();
afterAll(() => loop[Symbol.asyncDispose]());

let config: string;
let settings: string;
beforeEach(async () => {
  const folder = await temporaryFolder();
  config = folder.path;
  settings = join(config, 'systemprompt');
  return () => folder[Symbol.asyncDispose]();
});

const run = (argv: string[], more: { env?: Record<string, string>; tty?: boolean } = {}) =>
  loop.run({ argv, cwd: config, ...more, env: { XDG_CONFIG_HOME: config, ...more.env } });
const file = (): string => join(settings, 'settings.json');

it('are kept in the user’s folder, for the owner alone, and hold from then on', async () => {
  expect((await run(['settings', 'get', 'output'])).stdout).toBe('text\n');
  expect(readdirSync(config)).toEqual([]);
  expect((await run(['settings', 'set', 'output', 'json'])).code).toBe(0);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ output: 'json' });
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const { stdout } = await run(['settings', 'get', 'output']);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, artifact: { data: { value: 'json', set: true } } });
  // The environment outranks them.
  expect((await run(['settings', 'get', 'output'], { env: { SYSTEMPROMPT_OUTPUT_FORMAT: 'text' } })).stdout).toBe(
    'json\n',
  );
  expect((await run(['settings', 'unset', 'output'])).code).toBe(0);
  expect((await run(['settings', 'get', 'output'])).stdout).toBe('text\n');
});

it('switch colours', async () => {
  const coloured = async (tty: boolean, env: Record<string, string> = {}) =>
    (await run(['settings', 'list'], { tty, env })).stdout.includes('\u001B[');
  await run(['settings', 'set', 'colours', 'never']);
  expect(await coloured(true)).toBe(false);
  await run(['settings', 'set', 'colours', 'always']);
  expect(await coloured(false)).toBe(true);
  expect(await coloured(true, { NO_COLOR: '1' })).toBe(false);
});

it('refuse names and values that there are not', async () => {
  const wrong = await run(['settings', 'set', 'outptu', 'json', '--json']);
  expect(JSON.parse(wrong.stdout).error).toMatchObject({ code: 'USAGE', hint: 'Did you mean output?' });
  expect((await run(['settings', 'set', 'output', 'xml'])).code).toBe(2);
  expect((await run(['settings', 'get', 'constructor'])).code).toBe(2);
});

it.each([['{'], ['[1]'], ['"x"'], ['\0\u0001'], ['']])('put a broken file aside and name it: %j', async (content) => {
  mkdirSync(settings);
  writeFileSync(file(), content);
  const ran = await run(['settings', 'get', 'output', '--json']);
  expect(JSON.parse(ran.stdout)).toMatchObject({ ok: true, artifact: { content: 'text' } });
  const [kept = ''] = readdirSync(settings);
  expect(kept).toMatch(/^settings\.json\.broken-\d{4}-/);
  expect(ran.stderr).toContain(kept);
  expect(readFileSync(join(settings, kept), 'utf8')).toBe(content);
  expect((await run(['settings', 'get', 'output'])).stderr).toBe('');
});

it('leave alone what is not theirs, and tell of a value that can’t be', async () => {
  mkdirSync(settings);
  writeFileSync(file(), JSON.stringify({ output: 'xml', of_a_later_version: 1, colours: 'never' }));
  const ran = await run(['settings', 'list']);
  expect(ran.stderr).toContain('output must be text or json');
  await run(['settings', 'set', 'output', 'text']);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ output: 'text', of_a_later_version: 1, colours: 'never' });
});

it('are no reason to fail where they can’t be read', async () => {
  mkdirSync(file(), { recursive: true });
  const ran = await run(['commands']);
  expect(ran.code).toBe(0);
  expect(ran.stderr).toContain('Settings: ');
});
