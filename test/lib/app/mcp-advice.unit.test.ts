import { expect, it } from 'vitest';
import { advised } from '../../../src/lib/app/mcp-advice.ts';
import { type AppError, ForbiddenError, UpstreamFailedError } from '../../../src/lib/shared/errors.ts';

const approval = '01a200b5-9cb3-7d26-abdf-34526485dd01';
const after = (error: AppError) => {
  const { message, code, hint, next } = advised(error, 'files') as AppError;
  return { message, code, hint, next };
};
const refused = (next: string) => new ForbiddenError('No.', { next: ['plugins mcp status'], data: { next: [next] } });

it('a program that ended is shown with the end of what it wrote, and nothing in it drives the terminal', () => {
  const lines = [...Array.from({ length: 30 }, (_, n) => `line ${n}`), '\u001B[31mno such\u0007 folder\u001B[0m'];
  const error = new UpstreamFailedError('It ended.', { data: { stderr: `${lines.join('\n')}\n` } });
  expect(after(error)).toMatchObject({
    message: 'It ended.',
    code: 'UPSTREAM_FAILED',
    hint: expect.stringMatching(/^It wrote:\n {2}line 21\n[\s\S]*\n {2}no such folder$/),
    next: ['infra services logs mcp:files'],
  });
});

it('an approval that is needed is shown first, and a tool that is held with its difference', () => {
  expect(after(refused(`plugins mcp approvals approve ${approval}`))).toMatchObject({
    message: 'No.',
    hint: expect.stringContaining('the same call again'),
    next: [`plugins mcp approvals show ${approval}`],
  });
  // Behind a virtual server it is another's tool.
  for (const next of ['plugins mcp tools files --diff', 'plugins mcp tools notes --diff'])
    expect(after(refused(next)).next).toEqual([next]);
});

it.each([
  'plugins mcp remove files',
  `plugins mcp approvals approve ${approval}; rm -rf /`,
  'plugins mcp tools files --diff; id',
])('what a server suggests is not passed on: %s', (next) => {
  expect(after(refused(next)).next).toEqual(['plugins mcp status']);
});
