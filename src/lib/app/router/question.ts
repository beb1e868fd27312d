import { isRecord } from './jsonrpc.ts';

/** Begins the id of a question that the router asks itself, so that its answer is known wherever it arrives. */
export const questionPrefix = 'systemprompt-approval:';
/** An answer to a question of the router's. */
export interface GivenAnswer {
  readonly id: string;
  readonly accepted: boolean;
}

/** What a response answers, when the question was the router's. */
export function answerIn({
  to: id,
  result,
}: {
  readonly to: unknown;
  readonly result: unknown;
}): GivenAnswer | undefined {
  if (typeof id !== 'string' || !id.startsWith(questionPrefix)) return undefined;
  return { id: id.slice(questionPrefix.length), accepted: isAccepted(result) };
}

/** Only a plain yes is one. */
export function isAccepted(result: unknown): boolean {
  if (!isRecord(result) || result['action'] !== 'accept') return false;
  return isRecord(result['content']) && result['content']['approve'] === true;
}

/** Whether a client can show its user a form: `elicitation: {}` means forms (MCP 2025-11-25). */
export function elicits(capabilities: unknown): boolean {
  const declared = isRecord(capabilities) ? capabilities['elicitation'] : undefined;
  if (!isRecord(declared)) return false;
  return declared['form'] !== undefined || declared['url'] === undefined;
}
