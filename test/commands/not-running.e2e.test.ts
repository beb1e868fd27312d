import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { runCli } from '../helpers/cli.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'systemprompt-not-running-'));
  await createLocalInstance(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const run = (...argv: string[]) => runCli(argv, { cwd: root, env: { SYSTEMPROMPT_INVOKED_AS: 'sp' } });

it.each([[['infra', 'db', 'status']], [['infra', 'db', 'tables']], [['admin', 'audit', 'list']]])(
  '%j says that nothing runs and how to start it',
  async (argv) => {
    const { code, stdout, stderr } = await run(...argv);
    expect(stdout).toBe('');
    expect(code).toBe(6);
    expect(stderr).toBe(
      'Error: Nothing is running, so there is no database to ask\nStart it first\n  sp infra services start\n',
    );
  },
);

it.each([[['infra', 'services', 'status']], [['plugins', 'mcp', 'list']]])(
  '%j refuses a profile that is not there',
  async (argv) => {
    const { code, stdout, stderr } = await run(...argv, '--profile', 'nope');
    expect(stdout).toBe('');
    expect(code).not.toBe(0);
    expect(stderr).toContain('There is no profile `nope`.\nThere is: local.');
  },
);

it('a stop of what is stopped already succeeds, one of what nobody knows does not', async () => {
  expect(await run('infra', 'services', 'stop', 'api', 'database')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Nothing is running'),
  });
  const unknown = await run('infra', 'services', 'stop', 'databsae');
  expect(unknown.code).toBe(3);
  expect(unknown.stderr).toContain('Did you mean database?');
});

it.each(['start', 'restart'])('a %s of what nobody knows names the nearest, also where nothing runs', async (verb) => {
  const unknown = await run('infra', 'services', verb, 'databsae');
  expect(unknown.code).toBe(3);
  expect(unknown.stderr).toContain('Did you mean database?');
  expect((await run('infra', 'services', verb, 'database')).code).toBe(6);
});
