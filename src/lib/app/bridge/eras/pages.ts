import { isRecord } from '../../router/jsonrpc.ts';
import { missingFor, toModernQuestion } from './asking.ts';
import { asObject, type Json } from './json.ts';
import { errorCode } from './revisions.ts';

/** Begins the key of a page that is to be opened, so that its answer is known. */
const prefix = 'page-';
const mostPages = 20;

/**
 * The pages that a legacy server wants opened before a call can be made (URLElicitationRequired, 2025-11-25), as questions of
 * an `input_required` result: since 2026-07-28 that is how a client is asked. The call is made anew when they were answered.
 * Nothing for another answer, or a client that opens no pages.
 */
export function pagesIn({ error }: Json, capabilities: Json): Json | undefined {
  if (!isRecord(error) || error['code'] !== errorCode.urlElicitationRequired) return undefined;
  const { elicitations } = asObject(error['data']);
  const questions = (Array.isArray(elicitations) ? elicitations : []).slice(0, mostPages).flatMap((page: unknown) => {
    if (!isRecord(page) || page['mode'] !== 'url' || typeof page['url'] !== 'string') return [];
    return [{ method: 'elicitation/create', params: page }];
  });
  if (questions.length === 0 || questions.some((question) => missingFor(question, capabilities) !== undefined)) {
    return undefined;
  }
  return Object.fromEntries(questions.map((question, index) => [`${prefix}${index + 1}`, toModernQuestion(question)]));
}

/** Whether a client comes back without having opened a page that it was asked to open: the call would ask for it again. */
export function leavesPagesClosed({ inputResponses }: Json): boolean {
  return Object.entries(asObject(inputResponses)).some(
    ([key, answer]) => key.startsWith(prefix) && asObject(answer)['action'] !== 'accept',
  );
}
