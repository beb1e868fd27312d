import { UpstreamFailedError } from '../../shared/errors.ts';
import type { Verdict } from '../executor/call.ts';
import { isRecord, type RequestId } from './jsonrpc.ts';

type Judgement = Pick<Verdict, 'status' | 'error' | 'structured' | 'asks' | 'task'>;

/** What one message of a server means to the call that waits: its answer, or something on the way to it. */
export type Judged =
  | { readonly kind: 'answer'; readonly verdict: Judgement }
  /** Progress, a log message, a question; `hidden` is what clients are told another way. */
  | { readonly kind: 'other' | 'hidden' };

const other: Judged = { kind: 'other' };
const hidden: Judged = { kind: 'hidden' };

/**
 * Reads a message that a server sent while a call was running.
 * @throws UpstreamFailedError when it is not JSON-RPC, or answers another request
 */
export function judge(text: string, id: RequestId): Judged {
  const message = parse(text);
  if (message['jsonrpc'] !== '2.0') throw garbage('what is not JSON-RPC 2.0');
  const { result, error } = message;
  if (typeof message['method'] === 'string') {
    if (result !== undefined || error !== undefined) throw garbage('a message that is a request and a response');
    return tellsOfTasks(message['method']) ? hidden : other;
  }
  if (message['id'] !== id) throw garbage('an answer to another request');
  return { kind: 'answer', verdict: judgeAnswer(result, error) };
}

/** Reads the body of an error status: an error of JSON-RPC whose id may be null, since not every server gets that far. */
export function judgeFailure(text: string, id: RequestId): Judgement {
  const message = parse(text);
  if (message['jsonrpc'] !== '2.0' || !isRecord(message['error']) || message['result'] !== undefined) {
    throw garbage('an error status without a JSON-RPC error');
  }
  if (message['id'] !== id && message['id'] !== null && message['id'] !== undefined)
    throw garbage('an answer to another request');
  return judgeAnswer(undefined, message['error']);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    // biome-ignore lint/style/useErrorCause: the parser's message quotes the text, which may hold a secret
    throw garbage('what is not JSON');
  }
  if (!isRecord(message)) throw garbage('what is not one JSON-RPC message');
  return message;
}

export function judgeAnswer(result: unknown, error: unknown): Judgement {
  if (error !== undefined) {
    if (result !== undefined || !isRecord(error) || typeof error['message'] !== 'string')
      throw garbage('a malformed error');
    return { status: 'failed', error: error['message'] };
  }
  if (!isRecord(result)) throw garbage('an answer without a result');
  // MCP 2026-07-28, SEP-2322: no result yet. The call goes well so far, and goes on with a call that brings the answers.
  if (result['resultType'] === 'input_required') return { status: 'success', asks: asksOf(result['inputRequests']) };
  if (result['isError'] !== true) {
    const structured = result['structuredContent'];
    if (isRecord(structured)) return { status: 'success', structured };
    const task = taskIn(result);
    return task === undefined ? { status: 'success' } : { status: 'success', task: task.task };
  }
  return { status: 'tool_error', error: firstText(result['content']) };
}

/**
 * Whether a message tells how a task is doing, under an id that clients don't know, or what it came to, past the audit: they
 * ask for that.
 */
export function tellsOfTasks(method: string): boolean {
  return method === 'notifications/tasks' || method.startsWith('notifications/tasks/');
}

/** A task in the place of a result, and where it stands there: 2025-11-25 (experimental) or its extension of 2026-07-28. */
function taskIn(
  result: Readonly<Record<string, unknown>>,
): { readonly task: NonNullable<Verdict['task']>; readonly inside: boolean } | undefined {
  const inside = isRecord(result['task']) && result['content'] === undefined;
  const described = inside ? (result['task'] as Readonly<Record<string, unknown>>) : result;
  if (!inside && result['resultType'] !== 'task') return undefined;
  const { taskId, status } = described;
  if (typeof taskId !== 'string') throw garbage('a task without an id');
  return { task: { id: taskId, status: String(status) }, inside };
}

/** Most questions that are recorded, and most characters of a method. */
const asksKept = { count: 20, characters: 64 } as const;

/** The methods of the questions: what was asked, not how. */
function asksOf(requests: unknown): string[] {
  const all = isRecord(requests) ? Object.values(requests) : [];
  return all.slice(0, asksKept.count).map((request) => {
    const method = isRecord(request) ? request['method'] : undefined;
    return typeof method === 'string' && /^[a-z/_]+$/i.test(method) ? method.slice(0, asksKept.characters) : 'unknown';
  });
}

/** The text of a tool's own error, which MCP puts into the result's content. */
function firstText(content: unknown): string {
  const items: readonly unknown[] = Array.isArray(content) ? content : [];
  for (const item of items) {
    if (isRecord(item) && typeof item['text'] === 'string') return item['text'];
  }
  return 'The tool reported an error without a text.';
}

function garbage(what: string): UpstreamFailedError {
  return new UpstreamFailedError(`The server sent ${what}.`, { hint: 'The server is at fault; its log may say more.' });
}
