import type { Client } from '@modelcontextprotocol/client';

/** What a server asks the person behind a call (MCP 2025-11-25, client features: elicitation), as the server wrote it. */
export interface ServerQuestion {
  readonly message: string;
  /** An address to open instead of a form. */
  readonly url?: string;
  /** The fields of a form: a flat JSON Schema. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
}

export type GivenValue = string | number | boolean | string[];

/** `decline` is a no, `cancel` is no answer. */
export type QuestionAnswer =
  | { readonly action: 'accept'; readonly content?: Readonly<Record<string, GivenValue>> }
  | { readonly action: 'decline' | 'cancel' };

/** Puts a question to a person; the signal takes it back. */
export type AnswerQuestion = (question: ServerQuestion, signal: AbortSignal) => Promise<QuestionAnswer>;

/** What a client that can ask its user says of itself. Servers don't ask one that does not say so. */
export const askingCapabilities = { elicitation: { form: {}, url: {} } };

/**
 * Answers the questions of a server, in either era: up to 2025-11-25 they come as requests, from 2026-07-28 on in the
 * answer to a call, which the SDK then makes again. One is asked at a time.
 *
 * @param answer absent where nobody can answer: a question that comes all the same is declined, nobody waits for it
 */
export function answerQuestions(client: Client, answer: AnswerQuestion | undefined): void {
  if (answer === undefined) {
    client.fallbackRequestHandler = (request) =>
      request.method === 'elicitation/create'
        ? Promise.resolve({ action: 'decline' })
        : Promise.reject(Object.assign(new Error('Method not found'), { code: -32_601 }));
    return;
  }
  let before: Promise<unknown> = Promise.resolve();
  client.setRequestHandler('elicitation/create', (request, { mcpReq }) => {
    const asked = before.then(() => answer(questionIn(request.params), mcpReq.signal));
    before = asked.catch(() => {}); // its failure is the answer's; the next question does not care
    return asked.then((given) => ({ ...given }) as { action: 'accept'; content?: Record<string, GivenValue> });
  });
}

function questionIn(params: Readonly<Record<string, unknown>>): ServerQuestion {
  const { message, url, requestedSchema } = params;
  const schema = isObject(requestedSchema) ? requestedSchema : {};
  const { properties, required } = schema;
  return {
    message: typeof message === 'string' ? message : '',
    ...(typeof url === 'string' ? { url } : {}),
    fields: isObject(properties) ? properties : {},
    required: Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [],
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
