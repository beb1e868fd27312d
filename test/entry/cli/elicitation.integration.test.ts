import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runInTerminal, type TerminalRun } from '../../helpers/pseudo-terminal.ts';

const program = [process.execPath, join(import.meta.dirname, '../../fixtures/asks.mjs')];
const enter = '\r';
const down = '\u001B[B';

const fields = {
  name: { type: 'string', title: 'Your name', minLength: 2 },
  size: { type: 'string', enum: ['s', 'm'], enumNames: ['small', 'medium'] },
  count: { type: 'integer', minimum: 1 },
  note: { type: 'string' },
};
const form = { message: 'How much?\u001B[2J', fields, required: ['name', 'size', 'count'] };

async function asked(question: object, steps: readonly (readonly [shows: string, type: string])[]): Promise<unknown> {
  // Wide enough that no line is broken.
  const run = runInTerminal([JSON.stringify(question)], { cwd: '/', program, size: 'cols 250 rows 50' });
  for (const [shows, type] of steps) {
    await run.shows(shows);
    run.type(type);
  }
  return await resultOf(run);
}

async function resultOf(run: TerminalRun): Promise<unknown> {
  await run.ended();
  return JSON.parse(/RESULT (.*)/.exec(run.text)?.[1] ?? '{}');
}

it('a form is asked field by field, and what is no answer is asked for again', async () => {
  const answer = await asked(form, [
    ['demo asks: How much?', enter],
    ['Your name', `A${enter}`],
    ['At least 2 characters', `da${enter}`],
    ['medium', `${down}${enter}`],
    ['count', `0${enter}`],
    ['At least 1', `\u007F3${enter}`],
    ['note (may be left out)', enter],
  ]);
  expect(answer).toEqual({
    action: 'accept',
    content: { name: 'Ada', size: 'm', count: 3 },
    interrupted: false,
  });
});

it('can be declined, and Ctrl-C is no answer and ends the call', async () => {
  expect(await asked(form, [['demo asks', `${down}${enter}`]])).toEqual({ action: 'decline', interrupted: false });
  expect(await asked(form, [['demo asks', '\u0003']])).toEqual({ action: 'cancel', interrupted: true });
});

it('an approval is a plain yes or no, and an address is shown', async () => {
  const approve = { message: 'May demo run echo?', fields: { approve: { type: 'boolean' } }, required: ['approve'] };
  expect(await asked(approve, [['approve?', 'y']])).toMatchObject({ action: 'accept', content: { approve: true } });
  expect(await asked(approve, [['approve?', enter]])).toMatchObject({ content: { approve: false } });
  const url = { message: 'Sign in', url: 'https://x.example/a', fields: {}, required: [] };
  expect(await asked(url, [['https://x.example/a', 'y']])).toEqual({ action: 'accept', interrupted: false });
});
