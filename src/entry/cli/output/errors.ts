import type { AppError } from '../../../lib/shared/errors.ts';
import { readableLogLine } from '../../../lib/shared/text/log-line.ts';
import { harmless } from '../../../lib/shared/text/width.ts';
import { type CliSession, suggestion } from '../session.ts';
import { style } from './style.ts';

/** The `error` of the JSON envelope: named fields only, and small whatever the error carries. */
export interface ErrorEnvelope {
  readonly ok: false;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly next: readonly string[];
  };
}

// Together under the 4,096 bytes that the envelope promises, in UTF-8 and with JSON's escapes.
const messageBytes = 2000;
const hintBytes = 600;
const nextBytes = 200;
const nextCount = 4;

/** The envelope of a failed command; its size is bounded, its `next` commands can be run as they are. */
export function errorEnvelope(
  error: AppError,
  session: CliSession,
  commands: readonly string[] = error.next,
): ErrorEnvelope {
  const next = commands.map((command) => suggestion(session, command)).filter((line) => size(line) <= nextBytes);
  return {
    ok: false,
    error: {
      code: error.code,
      message: bounded(sentence([error.message, ...reasons(error)]), messageBytes),
      ...(error.hint === undefined ? {} : { hint: bounded(error.hint, hintBytes) }),
      next: next.slice(0, nextCount),
    },
  };
}

/** What failed, why, how to mend it, the commands that help: in this order, the most useful line last. */
export function errorText(error: AppError, session: CliSession, commands: readonly string[] = error.next): string {
  const paint = style(session.colour.stderr);
  const lines = [`${paint.red('Error')}: ${harmless(error.message)}`];
  for (const reason of reasons(error)) lines.push(`  because: ${harmless(reason)}`);
  const logs = error.data['log'];
  if (Array.isArray(logs) && logs.length > 0) {
    lines.push('', ...logs.map((line) => paint.dim(`  ${harmless(readableLogLine(String(line)))}`)), '');
  }
  if (error.hint !== undefined) lines.push(harmless(error.hint));
  for (const command of commands) lines.push(`  ${paint.cyan(suggestion(session, command))}`);
  if (session.debug) lines.push('', paint.dim(stacks(error)));
  return lines.join('\n');
}

/** The messages of the causes that say something new, at most three deep. */
function reasons(error: AppError): string[] {
  const found: string[] = [];
  let said = error.message;
  let cause: unknown = error.cause;
  for (let depth = 0; depth < 3 && cause instanceof Error; depth += 1) {
    const message = cause.message.trim();
    if (message !== '' && !said.includes(message) && !isAbsentSocket(cause)) {
      found.push(message);
      said += message;
    }
    cause = cause.cause;
  }
  return found;
}

/** A reason follows a colon, and a full stop before that is one too many. */
function sentence(parts: readonly string[]): string {
  return parts.map((part, index) => (index < parts.length - 1 ? part.replace(/\.$/, '') : part)).join(': ');
}

/** That nobody listens on a socket of the instance is what "not running" means; its path helps no one. */
function isAbsentSocket(cause: Error): boolean {
  const { code, syscall, address } = cause as NodeJS.ErrnoException & { readonly address?: unknown };
  const absent = code === 'ENOENT' || code === 'ECONNREFUSED';
  return absent && syscall === 'connect' && typeof address === 'string' && address.startsWith('/');
}

function stacks(error: Error): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    parts.push(current.stack ?? current.message);
    current = current.cause;
  }
  return parts.join('\ncaused by: ');
}

function bounded(text: string, limit: number): string {
  const clean = harmless(text);
  if (size(clean) <= limit) return clean;
  let kept = clean.slice(0, limit);
  while (size(kept) > limit - 3) kept = kept.slice(0, Math.floor(kept.length * 0.9));
  return `${kept}…`;
}

function size(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}
