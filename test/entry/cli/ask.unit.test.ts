import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askConfirm, askPassword, askSelect, askText } from '../../../src/entry/cli/ask.ts';
import { openSession } from '../../../src/entry/cli/session.ts';
import { FakeTerminal } from '../../helpers/fake-terminal.ts';

const question = { message: 'Which?', flag: '--name', command: 'cloud:tenant:create' };

function session(over: { argv?: string[]; stdin?: boolean; stderr?: boolean } = {}) {
  return openSession({
    argv: over.argv ?? [],
    env: {},
    cwd: '/',
    script: undefined,
    stdin: { isTTY: over.stdin ?? true },
    stdout: new PassThrough(),
    stderr: (over.stderr ?? true) ? new FakeTerminal(80) : new PassThrough(),
  });
}

describe('a question', () => {
  const asked = {
    text: () => (where: ReturnType<typeof session>) => askText(question, where),
    select: () => (where: ReturnType<typeof session>) => askSelect({ ...question, choices: [{ value: 'a' }] }, where),
    confirm: () => (where: ReturnType<typeof session>) => askConfirm(question, where),
    password: () => (where: ReturnType<typeof session>) => askPassword(question, where),
  };
  const nobody = {
    'no terminal to type at': session({ stdin: false }),
    'no terminal to see it on': session({ stderr: false }),
    '--non-interactive': session({ argv: ['--non-interactive'] }),
    '--json': session({ argv: ['--json'] }),
  };
  it.each(
    Object.entries(asked).flatMap(([kind, ask]) =>
      Object.entries(nobody).map(([why, where]) => ({ kind, ask, why, where })),
    ),
  )('of kind $kind is not asked with $why; the flag is named', async ({ ask, where }) => {
    const error = await ask()(where).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'ANSWER_NEEDED',
      message: 'cloud tenant create needs --name',
      data: { flag: '--name' },
      next: ['cloud tenant create --help'],
    });
  });
});
