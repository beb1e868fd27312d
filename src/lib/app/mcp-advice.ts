import { stripVTControlCharacters } from 'node:util';
import { AppError } from '../shared/errors.ts';
import { errorClass } from '../shared/wire.ts';

const approve = /^plugins mcp approvals approve ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const held = /^plugins mcp tools [a-z0-9-]{1,100} --diff$/;
/** Of what a program wrote before it ended. */
const maxLines = 10;

/**
 * What somebody at the terminal does next after a tool could not be called. What comes with an error may be a server's
 * own words: the commands are ours, and an approval is shown before anybody gives it.
 *
 * @returns the error itself when it says enough
 */
export function advised(error: unknown, server: string): unknown {
  if (!(error instanceof AppError)) return error;
  const { stderr, next } = error.data;
  const Class = errorClass(error.code);
  if (Class === undefined) return error;
  const details = { data: error.data, cause: error };
  if (typeof stderr === 'string' && stderr.trim() !== '') {
    return new Class(error.message, {
      ...details,
      hint: lastLines(stderr),
      next: [`infra services logs mcp:${server}`],
    });
  }
  const first: unknown = Array.isArray(next) ? next[0] : undefined;
  if (error.code !== 'FORBIDDEN' || typeof first !== 'string') return error;
  const approval = approve.exec(first)?.[1];
  if (approval !== undefined) {
    const hint = 'Once it is approved, make the same call again';
    return new Class(error.message, { ...details, hint, next: [`plugins mcp approvals show ${approval}`] });
  }
  // Of a virtual server it is the one behind it.
  if (!held.test(first)) return error;
  return new Class(error.message, { ...details, hint: 'An admin can look at it and approve it', next: [first] });
}

function lastLines(text: string): string {
  const lines = stripVTControlCharacters(text).trim().split('\n').slice(-maxLines);
  return `It wrote:\n${lines.map((line) => `  ${line.replaceAll(/\p{Cc}/gu, '')}`).join('\n')}`;
}
