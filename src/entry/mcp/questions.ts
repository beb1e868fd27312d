import { createHash, randomUUID } from 'node:crypto';
import {
  type InputRequiredResult,
  inputRequired,
  type ServerContext,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server';
import { PreconditionError, UpstreamFailedError } from '../../lib/shared/errors.ts';
import type { Sample, ToolContext, UrlAnswer, UrlQuestion } from '../../lib/shared/mcp/context.ts';
import { jsonSchemaOf } from '../../lib/shared/mcp/schema.ts';
import { type Asked, cannotAsk } from './client-questions.ts';

/** What the client carries from one round of a call to the next; signed by us, readable by it. */
export interface AskedBefore {
  /** Of the tool and its arguments: answers are good for the call that they were given to. */
  readonly call: string;
  readonly answers: Readonly<Record<string, unknown>>;
}

/** Under this key of its envelope a request of the 2026 revision says what the client can do. */
const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities';
const defaultTokens = 1_000;

/** The handler's way out while an answer is still to come; not an error of anybody's. */
class AnswerAwaited extends Error {
  override readonly name = 'AnswerAwaited';
}

export interface QuestionsOfCall {
  readonly tool: string;
  readonly input: unknown;
  readonly protocol: ServerContext;
  readonly era: 'legacy' | 'modern';
  /** Asks on the stream of the call; the 2025 revisions. */
  readonly ask: (question: Asked) => Promise<unknown>;
}

/** What of the context asks. */
export type CallQuestions = Pick<ToolContext, 'elicit' | 'elicitUrl' | 'urlRequired' | 'sample'>;

/** What one call asks its client, in either era. */
export class Questions implements CallQuestions {
  readonly #call: QuestionsOfCall;
  readonly #id: string;
  readonly #answers: Readonly<Record<string, unknown>>;
  readonly #awaited: Record<string, Asked> = {};
  #count = 0;

  /** @throws PreconditionError when the client brings answers of another call */
  constructor(call: QuestionsOfCall) {
    this.#call = call;
    this.#id = createHash('sha256')
      .update(JSON.stringify([call.tool, call.input]))
      .digest('base64url');
    const { inputResponses, requestState } = call.protocol.mcpReq;
    const before = call.era === 'modern' ? requestState<AskedBefore>() : undefined;
    if (before !== undefined && before.call !== this.#id) {
      throw new PreconditionError('The answers are those to another call', { hint: 'Call again without requestState' });
    }
    this.#answers = before === undefined ? {} : { ...before.answers, ...inputResponses };
  }

  elicit: ToolContext['elicit'] = async ({ message, fields }) => {
    const { $schema: _, ...requestedSchema } = jsonSchemaOf('The question', fields, 'input');
    const given = (await this.#answer({
      method: 'elicitation/create',
      params: { mode: 'form', message, requestedSchema },
    })) as {
      readonly action?: unknown;
      readonly content?: unknown;
    };
    if (given.action === 'decline' || given.action === 'cancel') return { action: given.action };
    const checked = await fields['~standard'].validate(given.content);
    if (given.action !== 'accept' || checked.issues !== undefined) {
      throw new PreconditionError('The client answered something else than was asked', {
        hint:
          checked.issues?.map(({ path, message: reason }) => `${path?.join('.') ?? ''} ${reason}`.trim()).join('; ') ??
          '',
      });
    }
    return { action: 'accept', content: checked.value as never };
  };

  async elicitUrl(question: UrlQuestion): Promise<UrlAnswer> {
    const params = this.#call.era === 'legacy' ? this.#page(question) : { mode: 'url', ...question };
    const given = (await this.#answer({ method: 'elicitation/create', params })) as Partial<UrlAnswer>;
    if (given.action === 'accept' || given.action === 'decline' || given.action === 'cancel') {
      return { action: given.action };
    }
    throw new PreconditionError('The client answered something else than was asked');
  }

  urlRequired(question: UrlQuestion): Error {
    if (this.#call.era === 'legacy') return new UrlElicitationRequiredError([this.#page(question)]);
    const key = this.#nextKey();
    const given = this.#answers[key] as Partial<UrlAnswer> | undefined;
    if (given !== undefined) {
      const done = given.action === 'accept';
      const what = done ? 'What is to be done at the page is not done yet' : 'The page was not opened';
      return new PreconditionError(what, { hint: `Call again when it is: ${question.message}` });
    }
    const asked = { method: 'elicitation/create', params: { mode: 'url', ...question } } as const;
    if (!this.#can(asked)) return cannotAsk(asked);
    this.#awaited[key] = asked;
    return new AnswerAwaited('The client is asked first');
  }

  async sample({
    prompt,
    systemPrompt,
    maxTokens = defaultTokens,
  }: Parameters<ToolContext['sample']>[0]): Promise<Sample> {
    const params = {
      messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
      maxTokens,
      ...(systemPrompt === undefined ? {} : { systemPrompt }),
    };
    const given = (await this.#answer({ method: 'sampling/createMessage', params })) as {
      readonly model?: unknown;
      readonly content?: unknown;
    };
    const parts = (Array.isArray(given.content) ? given.content : [given.content]) as {
      type?: unknown;
      text?: unknown;
    }[];
    const text = parts.flatMap((part) => (part?.type === 'text' && typeof part.text === 'string' ? [part.text] : []));
    if (text.length === 0) throw new UpstreamFailedError("The client's model answered without a text");
    return { text: text.join('\n'), model: typeof given.model === 'string' ? given.model : 'unknown' };
  }

  /** What the client is to be asked before the call can go on; undefined when nothing is open. */
  async awaited(mint: (state: AskedBefore) => Promise<string>): Promise<InputRequiredResult | undefined> {
    if (Object.keys(this.#awaited).length === 0) return undefined;
    const requestState = await mint({ call: this.#id, answers: this.#answers });
    return inputRequired({ inputRequests: this.#awaited as never, requestState });
  }

  async #answer(question: Asked): Promise<unknown> {
    const key = this.#nextKey();
    if (this.#call.era === 'legacy') return await this.#call.ask(question);
    if (key in this.#answers) return this.#answers[key] ?? {};
    if (!this.#can(question)) throw cannotAsk(question);
    this.#awaited[key] = question;
    throw new AnswerAwaited('The client is asked first');
  }

  #nextKey(): string {
    this.#count += 1;
    return `q${this.#count}`;
  }

  /** Up to 2025-11-25 a page has an id, under which it may be told that it is done with. */
  #page({ message, url }: UrlQuestion) {
    return { mode: 'url' as const, message, url, elicitationId: randomUUID() };
  }

  /** Whether the client has declared with its request that it can answer. */
  #can({ method, params }: Asked): boolean {
    const envelope = this.#call.protocol.mcpReq.envelope as
      | Record<string, Record<string, unknown> | undefined>
      | undefined;
    const declared = envelope?.[capabilitiesKey]?.[method === 'elicitation/create' ? 'elicitation' : 'sampling'];
    if (params['mode'] !== 'url') return declared !== undefined;
    return (declared as Record<string, unknown> | undefined)?.['url'] !== undefined;
  }
}
