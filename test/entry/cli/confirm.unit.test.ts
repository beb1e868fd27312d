import { expect, it } from 'vitest';
import { confirmDestruction } from '../../../src/entry/cli/confirm.ts';
import { exitCodeOf } from '../../../src/entry/cli/exit.ts';
import { openSession } from '../../../src/entry/cli/session.ts';
import { AnswerNeededError, type AppError } from '../../../src/lib/shared/errors.ts';

const pipe = {} as never;
const terminal = { isTTY: true } as never;
const session = (stream: never, ...argv: string[]) =>
  openSession({ argv, env: {}, cwd: '/', script: undefined, stdin: stream, stdout: stream, stderr: stream });

it.each([
  ['without a terminal', session(pipe)],
  ['where the question would not be seen', { ...session(terminal), stderr: pipe }],
  ['with --non-interactive', session(terminal, '--non-interactive')],
  ['with --json', session(terminal, '--json')],
])('asks for the flag %s', async (_name, where) => {
  const refused = await confirmDestruction('infra:db:drop', {}, where).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(AnswerNeededError);
  expect((refused as AppError).hint).toContain('--yes');
  expect(exitCodeOf(refused as AppError)).toBe(5);
});

it('takes --yes for the answer', async () => {
  await expect(confirmDestruction('infra:db:drop', { yes: true }, session(pipe))).resolves.toBeUndefined();
});
