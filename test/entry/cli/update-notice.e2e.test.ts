import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSession } from '../../../src/entry/cli/session.ts';
import { isNewer, updateCommand, wantsUpdateNotice } from '../../../src/entry/cli/update-notice.ts';
import { packageRoot } from '../../helpers/cli.ts';
import { runInTerminal } from '../../helpers/pseudo-terminal.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let asked = 0;
const registry = createServer((request, response) => {
  asked += request.url?.startsWith('/systemprompt') === true ? 1 : 0;
  const version = '99.1.0';
  const tarball = 'http://127.0.0.1:1/none.tgz';
  const versions = { [version]: { name: 'systemprompt', version, dist: { tarball, shasum: '0'.repeat(40) } } };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ name: 'systemprompt', 'dist-tags': { latest: version }, versions }));
});

beforeAll(async () => {
  registry.listen(0, '127.0.0.1');
  await once(registry, 'listening');
  folder = await temporaryFolder();
  // As it is installed: a checkout tells nobody.
  const installed = join(folder.path, 'lib/node_modules/systemprompt');
  mkdirSync(installed, { recursive: true });
  for (const part of ['bin', 'dist']) symlinkSync(join(packageRoot, part), join(installed, part));
  for (const part of ['package.json', 'oclif.manifest.json']) cpSync(join(packageRoot, part), join(installed, part));
  writeFileSync(
    join(folder.path, '.npmrc'),
    `registry=http://127.0.0.1:${(registry.address() as AddressInfo).port}/\n`,
  );
});
afterAll(async () => {
  registry.close();
  await folder[Symbol.asyncDispose]();
});

/** Runs the installed program in a pseudo-terminal, both outputs of which are one. */
async function atTerminal(line: string, env: Record<string, string> = {}): Promise<string> {
  const script = join(folder.path, 'lib/node_modules/systemprompt/bin/run.js');
  const run = runInTerminal(line.split(' '), {
    program: [process.execPath, '--preserve-symlinks', '--preserve-symlinks-main', script],
    cwd: folder.path,
    env: { HOME: folder.path, ...env },
  });
  await run.ended();
  return run.text;
}

const cache = (): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder.path, '.cache/systemprompt/update.json'), 'utf8'));

it('asks the configured registry in the background, and tells once a day', async () => {
  for (const [line, env] of [
    ['settings list --json', {}],
    ['settings list', { CI: '1' }],
    ['settings list', { CLAUDECODE: '1' }],
    ['settings list', { SYSTEMPROMPT_NO_UPDATE_NOTICE: '1' }],
  ] as const)
    expect(await atTerminal(line, env)).not.toContain('99.1.0');
  expect(asked).toBe(0);
  expect(await atTerminal('settings list')).not.toContain('99.1.0');
  await until('the answer of the registry', () => cache()['latest'] === '99.1.0', 60_000);
  expect(asked).toBe(1);
  const told = await atTerminal('settings list');
  expect(told).toContain('systemprompt 99.1.0 is out; this is 0.');
  expect(told).toContain('npm install --global systemprompt@latest');
  expect(await atTerminal('settings list')).not.toContain('99.1.0');
  expect(asked).toBe(1);
});

it('is for people at a terminal who did not say no', () => {
  const terminal = { isTTY: true } as never;
  const at = (stdout: never, stderr: never, settings = {}) =>
    wantsUpdateNotice(
      openSession({ argv: [], env: {}, cwd: '/', script: undefined, stdin: terminal, stdout, stderr }),
      settings,
    );
  expect(at(terminal, terminal)).toBe(true);
  expect(at(terminal, terminal, { update_notice: false })).toBe(false);
  expect(at({} as never, terminal)).toBe(false);
  expect(at(terminal, {} as never)).toBe(false);
});

it.each([
  ['1.2.3', '1.2.2', true],
  ['1.10.0', '1.9.9', true],
  ['2.0.0', '10.0.0', false],
  ['1.2.3', '1.2.3', false],
  ['1.2.3', '1.2.3-beta.1', false],
  ['1.2.3', 'nonsense', false],
])('%s against %s: %j', (latest, own, newer) => {
  expect(isNewer(latest, own)).toBe(newer);
});

it.each([
  ['/usr/lib/node_modules/systemprompt', 'npm install --global systemprompt@latest'],
  ['/home/a/project/node_modules/systemprompt', 'npm install systemprompt@latest'],
  ['/home/a/.npm/_npx/12/node_modules/systemprompt', 'npx systemprompt@latest'],
])('knows how %s is updated', (root, command) => {
  expect(updateCommand(root)).toBe(command);
});
