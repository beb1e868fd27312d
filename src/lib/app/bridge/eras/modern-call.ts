import type { Asker, Backend, Hearer, PendingRequest } from '../backend.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';
import { answers, isQuestion, missingFor, type Question, toModernQuestion } from './asking.ts';
import { isWanted, type Sender, toLegacyParams } from './envelope.ts';
import { asObject, type Json, readAnswer } from './json.ts';
import { pagesIn } from './pages.ts';
import { callKey, type Parked, type ParkedCalls } from './parked-calls.ts';
import { toModernAnswer } from './results.ts';
import { errorCode, metaKey, modernRevision } from './revisions.ts';
import { isChange } from './subscriptions.ts';

export interface ModernCallDeps {
  readonly backend: Backend;
  readonly parked: ParkedCalls;
  readonly serverInfo: Json;
  /** A change that the server told of on the stream of a call. */
  readonly changed: (change: JsonRpcMessage) => void;
}

/** One round of a call: a request of the client, and where its answer goes. */
export interface Round {
  readonly id: RequestId;
  readonly hearer: Hearer;
  readonly sender: Sender;
  /** What progress is told under in this round. */
  readonly progressToken: unknown;
}

interface Open extends Question {
  readonly id: RequestId;
}

/**
 * A modern client's call at a legacy server. When the server asks its client something, the round ends with
 * `input_required`, and the call goes on waiting there until the client comes back with what was asked.
 */
export class ModernCall implements Parked {
  readonly of: string;
  readonly #deps: ModernCallDeps;
  readonly #method: string;
  readonly #asker: Asker;
  readonly #pending: PendingRequest;
  readonly #open = new Map<string, Open>();
  #round: Round | undefined;
  #answer: JsonRpcMessage | undefined;
  #asking: NodeJS.Immediate | undefined;
  #asked = 0;

  constructor(deps: ModernCallDeps, request: JsonRpcMessage, asker: Asker, round: Round) {
    this.#deps = deps;
    this.#method = request.method;
    this.#round = round;
    this.of = callKey(request, asker);
    this.#asker = asLegacy(asker, round.sender);
    const plain = JsonRpcMessage.request(round.id, request.method, toLegacyParams(request.params));
    this.#pending = deps.backend.request(plain, this.#asker, {
      onMessage: (message) => this.#hear(message),
      onAnswer: (answer) => this.#answered(answer),
    });
  }

  /** The client is back with answers; what it left out is asked once more. */
  resume(params: Json, round: Round): void {
    this.#round = round;
    const given = asObject(params['inputResponses']);
    for (const [key, question] of this.#open) {
      const response = Object.hasOwn(given, key) ? given[key] : undefined;
      if (!answers(question, response)) continue;
      this.#open.delete(key);
      this.#deps.backend.respond(JsonRpcMessage.result(question.id, response), this.#asker);
    }
    if (this.#answer !== undefined) this.#finish(this.#answer);
    else if (this.#open.size > 0) this.#ask();
  }

  /** The client of a round has left; that of a round that is over may. */
  cancel(round: Round, reason?: string): void {
    if (this.#round !== round) return;
    this.#round = undefined;
    this.#end(reason);
  }

  expire(): void {
    this.#end('The client did not come back with what was asked.');
  }

  #end(reason?: string): void {
    clearImmediate(this.#asking);
    for (const { id } of this.#open.values()) this.#refuse(id, errorCode.internal, 'The client is gone.');
    this.#open.clear();
    if (this.#answer === undefined) this.#pending.cancel(reason);
  }

  #hear(message: JsonRpcMessage): void {
    if (message.kind === 'request') this.#question(message);
    else if (isChange(message.method)) this.#deps.changed(message);
    else if (message.method === 'notifications/message') {
      // Nobody is told what they did not ask for (2026-07-28: the level comes with the request).
      const { sender, hearer } = this.#round ?? {};
      if (isWanted(message.params['level'], sender?.logLevel)) hearer?.onMessage(message);
    } else if (message.method === 'notifications/progress') this.#progress(message);
  }

  #progress(message: JsonRpcMessage): void {
    const { progressToken, hearer } = this.#round ?? {};
    if (progressToken === undefined) return;
    const same = message.params['progressToken'] === progressToken;
    hearer?.onMessage(same ? message : message.withParams({ ...message.params, progressToken }));
  }

  #question({ id, method, params }: JsonRpcMessage): void {
    if (id === undefined || id === null) return;
    if (!isQuestion(method)) {
      if (method === 'ping') this.#deps.backend.respond(JsonRpcMessage.result(id, {}), this.#asker);
      else this.#refuse(id, errorCode.methodNotFound, `The client does not know ${method}.`);
      return;
    }
    const capabilities = asObject(this.#asker.opened?.['capabilities']);
    if (missingFor({ method, params }, capabilities) !== undefined) {
      this.#refuse(id, errorCode.methodNotFound, `The client has not declared that it can answer ${method}.`);
      return;
    }
    this.#asked += 1;
    this.#open.set(`${method.replace(/\W.*$/, '')}-${this.#asked}`, { id, method, params });
    // A server that asks several things at once is heard out first.
    if (this.#round !== undefined) this.#asking ??= setImmediate(() => this.#ask());
  }

  #ask(): void {
    this.#asking = undefined;
    const round = this.#round;
    if (round === undefined || this.#open.size === 0) return;
    const handle = this.#deps.parked.park(this, this.#asker);
    if (handle === undefined) {
      for (const { id } of this.#open.values())
        this.#refuse(id, errorCode.internal, 'Too many calls wait for clients.');
      this.#open.clear();
      return;
    }
    this.#round = undefined;
    const asked = Object.fromEntries([...this.#open].map(([key, question]) => [key, toModernQuestion(question)]));
    round.hearer.onAnswer(
      JsonRpcMessage.result(round.id, {
        resultType: 'input_required',
        inputRequests: asked,
        requestState: handle,
        _meta: { [metaKey.serverInfo]: this.#deps.serverInfo },
      }),
    );
  }

  #answered(answer: JsonRpcMessage): void {
    clearImmediate(this.#asking);
    this.#open.clear();
    this.#answer = answer;
    if (this.#round !== undefined) this.#finish(answer);
  }

  #finish(answer: JsonRpcMessage): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#round = undefined;
    const pages = pagesIn(answer.value, asObject(this.#asker.opened?.['capabilities']));
    if (pages !== undefined) {
      const result = {
        resultType: 'input_required',
        inputRequests: pages,
        _meta: { [metaKey.serverInfo]: this.#deps.serverInfo },
      };
      round.hearer.onAnswer(JsonRpcMessage.of({ jsonrpc: '2.0', id: round.id, result }));
      return;
    }
    const told = toModernAnswer(this.#method, readAnswer(answer.value), this.#deps.serverInfo);
    round.hearer.onAnswer(JsonRpcMessage.of({ jsonrpc: '2.0', id: round.id, ...told }));
  }

  #refuse(id: RequestId, code: number, message: string): void {
    this.#deps.backend.respond(JsonRpcMessage.error(id, code, message), this.#asker);
  }
}

/** The sender of a modern request as if it had opened a session with what it says of itself. */
export function asLegacy(asker: Asker, { clientInfo, capabilities }: Sender): Asker {
  const opened = {
    protocolVersion: '2025-11-25',
    capabilities,
    clientInfo: clientInfo ?? { name: `mcp-${modernRevision}`, version: '0' },
  };
  return { ...asker, era: 'legacy', opened };
}
