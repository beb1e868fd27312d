import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Claims } from '../../domain/auth/index.ts';
import type { Asker, Question } from '../executor/call.ts';
import { isRecord, type RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import { elicits, isAccepted, questionPrefix } from './question.ts';
import { messageEvent } from './sse.ts';

/** The router's own among the questions of an `input_required` result (MCP 2026-07-28, SEP-2322). */
const questionKey = 'systemprompt.approval';
const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities';
/** Longest state that is carried for a server and its client, in characters. */
const maxState = 64 * 1024;

function formOf({ text }: Question): Record<string, unknown> {
  const approve = { type: 'boolean', title: 'Approve', description: 'Make this call, once.' };
  return {
    mode: 'form',
    message: text,
    requestedSchema: { type: 'object', properties: { approve }, required: ['approve'] },
  };
}

/** Hears what people answered who were asked. */
export interface AnswerDesk {
  answered(id: string, accepted: boolean, by: Pick<Claims, 'sub' | 'name' | 'client'>): Promise<void>;
}

/** Where a question is written to. */
export interface AskStream {
  readonly res: ServerResponse;
  readonly keepAlive: KeepAlive;
  /** Sends the head of an event stream, once. */
  begin(): void;
}

/** Asks on the stream of the call, as servers did up to 2025-11-25; the answer is a request of its own. */
export function streamAsker({ res, keepAlive, begin }: AskStream): Asker {
  return {
    ask: (question) => {
      const id = `${questionPrefix}${question.id}`;
      const { mode: _, ...params } = formOf(question);
      const write = (message: object) => {
        if (!res.destroyed && !res.writableEnded)
          res.write(messageEvent(JSON.stringify({ jsonrpc: '2.0', ...message })));
      };
      begin();
      write({ id, method: 'elicitation/create', params });
      const kept = keepAlive.open(res);
      return () => {
        kept.release();
        // Whoever still shows it need not; a client that has answered knows no such request any more.
        write({ method: 'notifications/cancelled', params: { requestId: id, reason: 'decided' } });
      };
    },
  };
}

/** What a call carried for its server, while the router asks something in between. */
interface Carried {
  /** The approval that was asked for. */
  readonly a: string;
  /** `requestState` and `inputResponses` for the server. */
  readonly s?: unknown;
  readonly r?: unknown;
}

/** A modern call that may be asked by its answer, and what it sends on. */
export interface RetriedCall {
  readonly asker: Asker;
  /** The call without what was for the router; nothing when there was no such thing. */
  readonly body: Buffer | undefined;
  /** The result that asks. */
  required(question: Question, id: RequestId): string;
}

/**
 * Asks by the answer to the call, which its client makes again with what was asked (MCP 2026-07-28, multi-round-trip
 * requests). Nothing is kept: what the call carried for its server comes back in the sealed state.
 */
export class RetryAsking {
  readonly #key: KeyObject;

  /** @param root the instance's identity root, 32 bytes */
  constructor(root: Uint8Array) {
    this.#key = createSecretKey(new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), 'mcp-approval', 32)));
  }

  /** Nothing for a client that is not of this era or can't ask its user. */
  of(server: string, claims: Claims, body: Buffer): RetriedCall | undefined {
    const message = JSON.parse(body.toString('utf8')) as { readonly params: Readonly<Record<string, unknown>> };
    const { params } = message;
    const meta = params['_meta'];
    if (!isRecord(meta) || !elicits(meta[capabilitiesKey])) return undefined;
    const { requestState, inputResponses, ...rest } = params;
    const carried = this.#unseal(server, claims, requestState);
    if (carried === undefined) {
      const required = this.#required({ server, claims, s: requestState, r: inputResponses });
      return { asker: {}, body: undefined, required };
    }
    const given = isRecord(inputResponses) ? inputResponses[questionKey] : undefined;
    const own = {
      ...(carried.s === undefined ? {} : { requestState: carried.s }),
      ...(carried.r === undefined ? {} : { inputResponses: carried.r }),
    };
    return {
      asker: given === undefined ? {} : { answer: { id: carried.a, accepted: isAccepted(given) } },
      body: Buffer.from(JSON.stringify({ ...message, params: { ...rest, ...own } })),
      required: this.#required({ server, claims, s: carried.s, r: carried.r }),
    };
  }

  #required(call: { server: string; claims: Claims; s: unknown; r: unknown }): RetriedCall['required'] {
    const { server, claims, s, r } = call;
    return (question, id) =>
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: {
          resultType: 'input_required',
          inputRequests: { [questionKey]: { method: 'elicitation/create', params: formOf(question) } },
          requestState: this.#seal(server, claims, { a: question.id, s, r }),
        },
      });
  }

  #seal(server: string, claims: Claims, carried: Carried): string {
    const payload = Buffer.from(JSON.stringify(carried)).toString('base64url');
    return `${payload}.${this.#mac(server, claims, payload)}`;
  }

  /** Nothing for what is not ours, was another user's, or another server's: then it is the server's own. */
  #unseal(server: string, claims: Claims, state: unknown): Carried | undefined {
    if (typeof state !== 'string' || state.length > maxState * 2) return undefined;
    const dot = state.lastIndexOf('.');
    if (dot === -1) return undefined;
    const payload = state.slice(0, dot);
    const [want, have] = [Buffer.from(this.#mac(server, claims, payload)), Buffer.from(state.slice(dot + 1))];
    if (want.length !== have.length || !timingSafeEqual(want, have)) return undefined;
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Carried;
  }

  #mac(server: string, { sub, client }: Claims, payload: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([server, sub, client, payload]))
      .digest('base64url');
  }
}
