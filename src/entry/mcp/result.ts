import { type CallToolResult, UrlElicitationRequiredError } from '@modelcontextprotocol/server';
import { artifactSchema } from '../../lib/shared/artifact.ts';
import { artifactText } from '../../lib/shared/artifact-text.ts';
import type { ErrorCode } from '../../lib/shared/errors.ts';

/** Keys under `_meta` of a tool's result. */
const executionMeta = 'systemprompt/execution_id';
const errorMeta = 'systemprompt/error';

/** Columns of text for a reader that is no terminal; tables wider than that are shown as records. */
const textWidth = 160;

/** The bare output as structured content, and the same as text for clients that show only text. */
export function successResult(output: Record<string, unknown>, executionId: string): CallToolResult {
  return {
    content: [{ type: 'text', text: textOf(output) }],
    structuredContent: output,
    _meta: { [executionMeta]: executionId },
  };
}

/** What went wrong, for a model to read and for a program under `_meta`; the output schema doesn't hold for it. */
export function failureResult(error: ToolFailure, executionId: string): CallToolResult {
  const { code, message, hint, next } = error;
  const lines = [`${code}: ${message}`];
  if (hint !== undefined) lines.push(hint);
  if (next.length > 0) lines.push('Next:', ...next.map((command) => `  ${command}`));
  return {
    content: [{ type: 'text', text: lines.join('\n') }],
    isError: true,
    _meta: {
      [executionMeta]: executionId,
      [errorMeta]: { code, message, ...(hint === undefined ? {} : { hint }), next },
    },
  };
}

export interface ToolFailure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly next: readonly string[];
}

/**
 * What a caller is told of an error. One that was raised on purpose speaks for itself; anything else is a fault whose
 * message may hold what the caller must not see, and stays in the log.
 */
export function failureOf(thrown: unknown, cancelled: boolean, executionId: string, what = 'tool'): ToolFailure {
  if (isRaisedOnPurpose(thrown)) {
    return { code: thrown.code, message: thrown.message, hint: thrown.hint, next: thrown.next };
  }
  const code: ErrorCode = cancelled ? 'CANCELLED' : 'INTERNAL';
  if (cancelled) return { code, message: 'Cancelled', next: [] };
  return {
    code,
    message: `The ${what} failed`,
    hint: `The server's log says why, under execution ${executionId}`,
    next: [],
  };
}

/** The same without secrets: it goes to the caller and into the audit. */
export function withoutSecrets(failure: ToolFailure, blank: (text: string) => string): ToolFailure {
  const { code, message, hint, next } = failure;
  return { code, message: blank(message), hint: hint === undefined ? undefined : blank(hint), next: next.map(blank) };
}

/** The same of pages that are to be opened first. The id of a question is of our making. */
export function pagesWithoutSecrets(
  error: UrlElicitationRequiredError,
  blank: (text: string) => string,
): UrlElicitationRequiredError {
  const pages = error.elicitations.map((page) => ({ ...page, message: blank(page.message), url: blank(page.url) }));
  return new UrlElicitationRequiredError(pages, blank(error.message));
}

interface RaisedError extends Error {
  readonly code: string;
  readonly hint?: string;
  readonly next: readonly string[];
}

/** By shape, not by class: the extension's copy of our package may be another one. */
export function isRaisedOnPurpose(thrown: unknown): thrown is RaisedError {
  if (!(thrown instanceof Error)) return false;
  const { code, hint, next } = thrown as Partial<Record<'code' | 'hint' | 'next', unknown>>;
  const hintFits = hint === undefined || typeof hint === 'string';
  return typeof code === 'string' && hintFits && Array.isArray(next) && next.every((line) => typeof line === 'string');
}

function textOf(output: Record<string, unknown>): string {
  const artifact = artifactSchema.safeParse(output);
  if (!artifact.success) return JSON.stringify(output, null, 2);
  const more = (cursor: string): string => `next_cursor: ${cursor}`;
  return artifactText(artifact.data, { width: textWidth, whole: true, more });
}
