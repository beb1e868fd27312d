import { afterAll, beforeAll, expect, it } from 'vitest';
import { runInTerminal } from '../../helpers/pseudo-terminal.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Runs a command that asks before it does anything, in a pseudo-terminal; a question gets Enter, which means no. */
async function atTerminal(flags: string, env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  const argv = ['infra', 'db', 'reset', ...flags.split(' ').filter((flag) => flag !== '')];
  const run = runInTerminal(argv, { cwd: folder.path, env: { HOME: folder.path, ...env } });
  const asked = await run.shows('Go on?').then(
    () => true,
    () => false, // the tests look at the text
  );
  if (asked) run.type('\r');
  return { code: await run.ended(), text: run.text };
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

it('asks on one line at a terminal without a size', async () => {
  const env = { HOME: folder.path };
  const run = runInTerminal(['infra', 'db', 'reset'], { cwd: folder.path, env, size: 'cols 0 rows 0' });
  await run.shows("infra db reset can't be undone. Go on?");
  run.type('\r');
  await run.ended();
});
