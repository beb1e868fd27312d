import { randomUUID } from 'node:crypto';
import type { Asker, Backend, Hearer, PendingRequest } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';
import { missingFor, type Question, readQuestions, toLegacyQuestion } from './asking.ts';
import { type Sender, toModernParams } from './envelope.ts';
import { type Answer, asObject, failed, type Json, readAnswer, without } from './json.ts';
import type { Questions } from './questions.ts';
import { toLegacyAnswer } from './results.ts';
import { errorCode, metaKey, modernRevision } from './revisions.ts';
import { isChange } from './subscriptions.ts';

/** How often a server may ask again within one call, and how long it waits when it asked nothing, in ms. */
const mostRounds = 16;
const pauseMs = 250;

export interface LegacyCallDeps {
  readonly backend: Backend;
  readonly questions: Questions;
}

/**
 * A legacy client's request at a modern server: what the server wants to know on the way is asked of the client by requests
 * on the call's stream, and the request is made again with the answers until it is complete.
 */
export class LegacyCall implements PendingRequest {
  readonly #deps: LegacyCallDeps;
  readonly #request: JsonRpcMessage;
  readonly #asker: Asker;
  readonly #sender: Sender;
  readonly #hearer: Hearer;
  #pending: PendingRequest | undefined;
  #asked: { cancel(): void } | undefined;
  #over = false;

  constructor(deps: LegacyCallDeps, request: JsonRpcMessage, asker: Asker, sender: Sender, hearer: Hearer) {
    this.#deps = deps;
    this.#request = request;
    this.#asker = asker;
    this.#sender = sender;
    this.#hearer = hearer;
    this.#round(1, {});
  }

  cancel(reason?: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#asked?.cancel();
    this.#pending?.cancel(reason);
  }

  #round(count: number, more: Json): void {
    if (this.#over) return;
    const { id, method, params } = this.#request;
    const modern = JsonRpcMessage.request(id ?? 0, method, toModernParams({ ...params, ...more }, this.#sender));
    this.#pending = this.#deps.backend.request(modern, asModern(this.#asker), {
      onMessage: (message) => this.#hear(message),
      onAnswer: (message) => {
        const answer = readAnswer(message.value);
        if ('result' in answer && answer.result['resultType'] === 'input_required') this.#ask(count, answer.result);
        else this.#finish(toLegacyAnswer(method, answer));
      },
    });
  }

  #hear(message: JsonRpcMessage): void {
    if (this.#over || message.kind === 'request' || isChange(message.method)) return;
    const meta = message.params['_meta'] as Json | undefined;
    if (meta?.[metaKey.serverInfo] === undefined) this.#hearer.onMessage(message);
    else this.#hearer.onMessage(message.withParams({ ...message.params, _meta: without(meta, metaKey.serverInfo) }));
  }

  #ask(count: number, result: Json): void {
    const questions = readQuestions(result);
    const unable = this.#unable(questions, count, result);
    if (unable !== undefined || typeof questions === 'string') {
      this.#fail(unable ?? '');
      return;
    }
    const { requestState } = result;
    const state = typeof requestState === 'string' ? { requestState } : {};
    if (questions.size === 0) {
      const timer = setTimeout(() => this.#round(count + 1, state), pauseMs);
      this.#asked = { cancel: () => clearTimeout(timer) };
      return;
    }
    this.#asked = this.#deps.questions.ask(
      [...questions].map(([key, question]) => ({ key, id: `ask-${randomUUID()}`, ...toLegacyQuestion(question) })),
      this.#asker,
      {
        send: (message) => this.#hearer.onMessage(message),
        answered: (inputResponses) => this.#round(count + 1, { inputResponses, ...state }),
        failed: (message) => this.#fail(message),
      },
    );
  }

  /** Why the client can't be asked; all of it is looked at before the first question leaves. */
  #unable(questions: ReadonlyMap<string, Question> | string, count: number, result: Json): string | undefined {
    if (typeof questions === 'string') return `The server asked what can't be asked: ${questions}.`;
    if (count >= mostRounds) return `The server asked for more ${mostRounds} times and is not done.`;
    if (questions.size === 0) {
      const waits = typeof result['requestState'] === 'string';
      return waits ? undefined : 'The server asked for more and did not say for what.';
    }
    if (this.#asker.session === undefined)
      return 'The server asks its client something, which takes a session: begin with initialize.';
    for (const question of questions.values()) {
      const missing = missingFor(question, this.#sender.capabilities);
      if (missing === undefined) continue;
      const what = JSON.stringify(missing);
      return `The server needs ${question.method} of its client, which has not declared that it can: ${what}.`;
    }
    return undefined;
  }

  /** A tool that fails says so in its result; for the others it is an error of the protocol. */
  #fail(message: string): void {
    const isCall = this.#request.method === 'tools/call';
    const result = { content: [{ type: 'text', text: message }], isError: true };
    this.#finish(isCall ? { result } : failed(errorCode.internal, message));
  }

  #finish(answer: Answer): void {
    if (this.#over) return;
    this.#over = true;
    this.#hearer.onAnswer(JsonRpcMessage.of({ jsonrpc: '2.0', id: this.#request.id, ...answer }));
  }
}

/** What a legacy client says of itself, as a modern request has it. */
export function senderOf({ opened }: Asker, logLevel: string | undefined): Sender {
  const clientInfo = opened?.['clientInfo'];
  return {
    clientInfo: typeof clientInfo === 'object' && clientInfo !== null ? asObject(clientInfo) : undefined,
    capabilities: asObject(opened?.['capabilities']),
    logLevel,
  };
}

/** The sender of a legacy request as modern servers know it: without a session, and with no header of the other era. */
export function asModern(asker: Asker): Asker {
  const headers = { ...asker.headers, 'mcp-protocol-version': modernRevision };
  return { ...asker, era: 'modern', headers };
}
