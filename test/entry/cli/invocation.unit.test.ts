import { describe, expect, it } from 'vitest';
import { invocationPrefix, shellWord } from '../../../src/entry/cli/invocation.ts';
import { continuation, openSession, suggestion } from '../../../src/entry/cli/session.ts';

const bin = '/home/ann/app/node_modules/.bin/systemprompt';

describe('invocationPrefix', () => {
  it.each([
    ['npx', { npm_command: 'exec' }, bin, 'npx systemprompt'],
    ['a script of another package', { npm_command: 'run-script', npm_package_name: 'app' }, bin, 'npx systemprompt'],
    [
      'npm run in the checkout',
      { npm_command: 'run-script', npm_package_name: 'systemprompt' },
      '/home/ann/app/bin/run.js',
      'npm run -s systemprompt --',
    ],
    [
      'npm run, as npm 11 names it',
      { npm_command: 'run', npm_package_name: 'systemprompt' },
      '/home/ann/app/bin/run.js',
      'npm run -s systemprompt --',
    ],
    [
      'npm start',
      { npm_command: 'start', npm_package_name: 'systemprompt' },
      '/x/bin/run.js',
      'npm run -s systemprompt --',
    ],
    ['a global installation', {}, '/usr/local/bin/systemprompt', 'systemprompt'],
    ['the script itself', {}, '/home/ann/app/bin/run.js', 'node bin/run.js'],
    ['a wrapper that says so', { SYSTEMPROMPT_INVOKED_AS: 'sp' }, '/x/run.js', 'sp'],
    ['the MCP tool', { SYSTEMPROMPT_DEPTH: '1', npm_command: 'exec' }, '/x/run.js', ''],
  ])('knows %s', (_name, env, script, expected) => {
    expect(invocationPrefix(env, script, '/home/ann/app')).toBe(expected);
  });
});

describe('suggestion', () => {
  const stream = { isTTY: false } as never;
  const world = { cwd: '/', script: '/usr/bin/systemprompt', stdin: {}, stdout: stream, stderr: stream };

  it('keeps the profile that was given by flag', () => {
    const session = openSession({ ...world, argv: ['doctor', '--profile', 'my prod'], env: {} });
    expect(suggestion(session, 'infra services start')).toBe("systemprompt infra services start --profile 'my prod'");
  });

  it('does not add a profile from the environment: it holds for the next command anyway', () => {
    const session = openSession({ ...world, argv: ['doctor'], env: { SYSTEMPROMPT_PROFILE: 'prod' } });
    expect(suggestion(session, 'doctor')).toBe('systemprompt doctor');
    expect(session.profile).toBe('prod');
  });
});

describe('continuation', () => {
  const stream = { isTTY: false } as never;
  const world = { cwd: '/', script: '/usr/bin/systemprompt', stdin: {}, stdout: stream, stderr: stream, env: {} };

  it.each([[['--cursor', 'old']], [['--cursor=old']], [[]]])(
    'is the command with the next cursor: after %j',
    (given) => {
      const session = openSession({ ...world, argv: ['admin', 'audit', 'list', ...given, '--user', 'a b'] });
      expect(continuation(session, 'new')).toBe("systemprompt admin audit list --user 'a b' --cursor new");
    },
  );
});

describe('openSession', () => {
  const terminal = { isTTY: true, columns: 100 } as never;
  const pipe = {} as never;
  const at = (stream: never, env: NodeJS.ProcessEnv, ...argv: string[]) =>
    openSession({ argv, env, cwd: '/', script: undefined, stdin: stream, stdout: stream, stderr: stream });

  it('colours at a terminal, unless somebody says no', () => {
    expect(at(terminal, {}).colour.stdout).toBe(true);
    expect(at(pipe, {}).colour.stdout).toBe(false);
    expect(at(terminal, { NO_COLOR: '1' }).colour.stdout).toBe(false);
    expect(at(terminal, { NO_COLOR: '' }).colour.stdout).toBe(true);
    expect(at(terminal, { TERM: 'dumb' }).colour.stdout).toBe(false);
    expect(at(terminal, {}, '--no-color').colour.stderr).toBe(false);
  });

  it('asks questions only where somebody can answer', () => {
    expect(at(terminal, {}).nonInteractive).toBe(false);
    expect(at(pipe, {}).nonInteractive).toBe(true);
    expect(at(terminal, { CI: 'true' }).nonInteractive).toBe(true);
    expect(at(terminal, { SYSTEMPROMPT_NON_INTERACTIVE: '1' }).nonInteractive).toBe(true);
    expect(at(terminal, { SYSTEMPROMPT_NON_INTERACTIVE: 'false' }).nonInteractive).toBe(false);
    expect(at(terminal, {}, '--non-interactive').nonInteractive).toBe(true);
  });

  it('reads flags before the double dash only', () => {
    expect(at(pipe, {}, '--', '--json').json).toBe(false);
    expect(at(pipe, { SYSTEMPROMPT_OUTPUT_FORMAT: 'json' }).json).toBe(true);
  });

  it('is as wide as the terminal, and 80 columns else', () => {
    expect(at(terminal, {}).width).toBe(100);
    expect(at(pipe, {}).width).toBe(80);
    expect(at({ isTTY: true, columns: 0 } as never, {}).width).toBe(80);
  });
});

describe('shellWord', () => {
  it.each([
    ['plain', 'plain'],
    ['a b', "'a b'"],
    ["it's", `'it'\\''s'`],
    ['', "''"],
    ['$(rm)', "'$(rm)'"],
  ])('quotes %j', (word, expected) => {
    expect(shellWord(word)).toBe(expected);
  });
});
