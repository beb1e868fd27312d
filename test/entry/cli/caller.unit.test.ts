import { expect, it } from 'vitest';
import { agentMarks, pipelineMarks, plainSpelling, unaskedBy } from '../../../src/entry/cli/caller.ts';

const atTerminal = { delegated: false, terminal: true };

it.each([...agentMarks, ...pipelineMarks])(
  'asks nothing where $variable is set, though there is a terminal',
  (mark) => {
    const env = { [mark.variable]: mark.value ?? '1' };
    expect(unaskedBy([], env, atTerminal)).toMatchObject({ variable: mark.variable });
    for (const no of ['', '0', 'false']) expect(unaskedBy([], { [mark.variable]: no }, atTerminal)).toBeUndefined();
  },
);

it('asks a person at a terminal, whatever the editor sets', () => {
  const env = { CURSOR_TRACE_ID: 'x', REPL_ID: 'x', CURSOR_EXTENSION_HOST_ROLE: 'user', TERM_PROGRAM: 'vscode' };
  expect(unaskedBy([], env, atTerminal)).toBeUndefined();
});

it('lets a flag outrank the variable, and the variable what is detected', () => {
  const agent = { CLAUDECODE: '1' };
  expect(unaskedBy(['--interactive'], { ...agent, SYSTEMPROMPT_NON_INTERACTIVE: '1' }, atTerminal)).toBeUndefined();
  expect(unaskedBy([], { ...agent, SYSTEMPROMPT_NON_INTERACTIVE: '0' }, atTerminal)).toBeUndefined();
  expect(unaskedBy(['--non-interactive'], { SYSTEMPROMPT_NON_INTERACTIVE: '0' }, atTerminal)).toEqual({
    because: 'flag',
  });
  expect(unaskedBy(['--non-interactive', '--interactive'], {}, atTerminal)).toBeUndefined();
});

it('never asks where nobody can answer', () => {
  expect(unaskedBy(['--interactive'], {}, { delegated: false, terminal: false })).toEqual({ because: 'no-terminal' });
  expect(unaskedBy(['--interactive'], {}, { delegated: true, terminal: true })).toEqual({ because: 'delegated' });
});

it('takes =false for the other flag, before the double dash', () => {
  expect(plainSpelling(['x', '--non-interactive=false', '--', '--non-interactive=false'])).toEqual([
    'x',
    '--interactive',
    '--',
    '--non-interactive=false',
  ]);
});
