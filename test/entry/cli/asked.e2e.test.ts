import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cliEnvironment, runScript } from '../../helpers/cli.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Runs a command that asks before it does anything, in a pseudo-terminal; a question gets Enter, which means no. */
async function atTerminal(flags: string, env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  // A pseudo-terminal has no size until somebody gives it one.
  const command = `stty cols 80 rows 24; exec ${process.execPath} ${runScript} infra db reset ${flags}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: folder.path,
    env: cliEnvironment({ TERM: 'xterm', HOME: folder.path, ...env }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = once(child, 'close');
  try {
    await until('a question or the end', () => text.includes('Go on?') || child.exitCode !== null, 30_000);
    if (child.exitCode === null) child.stdin.write('\r');
    await until('the end', () => child.exitCode !== null, 30_000);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  return { code: child.exitCode, text: stripVTControlCharacters(text) };
}

it.each([
  ['', { CLAUDECODE: '1' }],
  ['', { AI_AGENT: 'some-agent@1' }],
  ['', { CI: 'true' }],
  ['--non-interactive', {}],
])('asks nothing: %s %j', async (flags, env) => {
  const { code, text } = await atTerminal(flags, env);
  expect({ code, asked: text.includes('Go on?') }).toEqual({ code: 5, asked: false });
  expect(text).toContain('Add --yes to confirm');
  // Who is taken for an agent is told why, and how to be asked all the same.
  expect(text.includes('--interactive asks all the same')).toBe(flags === '');
});

it.each([
  ['', {}],
  ['--interactive', { CLAUDECODE: '1' }],
  ['--non-interactive=false', { CI: 'true' }],
  ['', { CLAUDECODE: '1', SYSTEMPROMPT_NON_INTERACTIVE: '0' }],
])('asks: %s %j', async (flags, env) => {
  const { code, text } = await atTerminal(flags, env);
  expect(text).toContain('Go on?');
  expect(code).toBe(130);
});
