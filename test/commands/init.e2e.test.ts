import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLocalInstance, locateInstance } from '../../src/lib/infra/config/instance.ts';
import { type CliRun, runCli } from '../helpers/cli.ts';
import { runInTerminal } from '../helpers/pseudo-terminal.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const nameIn = (folder: string): string => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name;
const errorOf = ({ stdout }: CliRun) => JSON.parse(stdout).error as { code: string; message: string };

it('asks at a terminal for what no flag says', async () => {
  await using folder = await temporaryFolder();
  const terminal = runInTerminal(['init', '--no-install'], { cwd: folder.path });
  await terminal.shows('In which folder?');
  terminal.type('\u0015shop\r');
  await terminal.shows('What is it called?');
  terminal.type('\u0015Search!\r');
  await terminal.shows('lower-case letters');
  terminal.type('\u0015search\r');
  await terminal.shows('What do you begin with?');
  terminal.type('\r');
  expect(await terminal.ended()).toBe(0);
  expect(terminal.text).toContain('search is in');
  expect(nameIn(join(folder.path, 'shop'))).toBe('search');
  expect(existsSync(join(folder.path, 'shop/extensions/mcp/search/index.ts'))).toBe(true);
});

it('leaves nothing behind when it is interrupted in a question', async () => {
  await using folder = await temporaryFolder();
  const terminal = runInTerminal(['init', 'shop'], { cwd: folder.path });
  await terminal.shows('What is it called?');
  terminal.type('\u0003');
  expect(await terminal.ended()).toBe(130);
  expect(readdirSync(folder.path)).toEqual([]);
});

it('never asks where nobody can answer: without a folder it names what is missing, with one it takes defaults', async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  const unnamed = await runCli(['init', '--json'], { cwd });
  expect([unnamed.code, errorOf(unnamed)]).toMatchObject([5, { code: 'ANSWER_NEEDED', message: 'init needs <dir>' }]);
  expect(readdirSync(cwd)).toEqual([]);

  const named = await runCli(['init', 'shop', '--json', '--package', './x.tgz'], { cwd });
  expect(JSON.parse(named.stdout)).toMatchObject({
    ok: true,
    artifact: {
      data: {
        folder: join(cwd, 'shop'),
        name: 'shop',
        template: 'mcp-server',
        systemprompt: 'file:../x.tgz',
        installed: false,
        steps: ['cd shop', 'npm install', 'npm test', 'npm start'],
      },
    },
  });
  const again = await runCli(['init', 'shop', '--json'], { cwd });
  expect([again.code, errorOf(again)]).toMatchObject([6, { message: expect.stringMatching(/is not empty: \.github/) }]);
  const wrong = await runCli(['init', 'other', '--name', 'Not A Name', '--json'], { cwd });
  expect([wrong.code, errorOf(wrong).code]).toEqual([2, 'USAGE']);
  expect(readdirSync(cwd)).toEqual(['shop']);
});

it('with --yes it begins in this folder; one within another project stands by itself', async () => {
  await using folder = await temporaryFolder();
  const outer = await createLocalInstance(folder.path);
  const made = await runCli(['init', 'inner', '--template', 'minimal', '--yes'], { cwd: folder.path });
  expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('an instance of its own') });
  const inner = await locateInstance(join(folder.path, 'inner'), {});
  expect(inner?.root).toBe(join(folder.path, 'inner'));
  expect(inner?.id).not.toBe(outer.id);

  await using empty = await temporaryFolder();
  const here = await runCli(['init', '--yes', '--name', 'here'], { cwd: empty.path });
  expect(here.code, here.stderr).toBe(0);
  expect(nameIn(empty.path)).toBe('here');
  expect(existsSync(join(empty.path, '.systemprompt'))).toBe(false);
});

it('says that the project is there when npm install fails, and how', async () => {
  await using folder = await temporaryFolder();
  const argv = ['init', 'shop', '--install', '--package', './nowhere.tgz', '--json'];
  const run = await runCli(argv, { cwd: folder.path, env: { npm_config_offline: 'true' } });
  expect(run.code).toBe(8);
  expect(errorOf(run)).toMatchObject({ code: 'PARTIAL', message: expect.stringContaining('npm install failed') });
  expect(nameIn(join(folder.path, 'shop'))).toBe('shop');
});
