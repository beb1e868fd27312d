import type { Asker, Backend, Era, Hearer, PendingRequest } from '../../../../../src/lib/app/bridge/backend.ts';
import { JsonRpcMessage } from '../../../../../src/lib/app/bridge/message.ts';
import type { Identity } from '../../../../../src/lib/infra/security/identity-header.ts';

/** A request as the backend behind got it. */
export interface Got {
  readonly request: JsonRpcMessage;
  readonly asker: Asker;
  readonly hearer: Hearer;
  cancelled?: string | true;
}

/** A backend that does nothing by itself. */
export class FakeBackend implements Backend {
  readonly era: Era;
  readonly initialized: Readonly<Record<string, unknown>>;
  readonly got: Got[] = [];
  readonly responses: JsonRpcMessage[] = [];
  closed = false;

  constructor(era: Era, capabilities: Record<string, unknown> = { tools: {} }) {
    this.era = era;
    const serverInfo = { name: 'behind', version: '3' };
    this.initialized =
      era === 'legacy'
        ? { protocolVersion: '2025-06-18', capabilities, serverInfo, instructions: 'Be kind.' }
        : {
            resultType: 'complete',
            supportedVersions: ['2026-07-28'],
            capabilities,
            _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
          };
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const got: Got = { request, asker, hearer };
    this.got.push(got);
    return {
      cancel: (reason) => {
        got.cancelled = reason ?? true;
      },
    };
  }

  get last(): Got {
    const got = this.got.at(-1);
    if (got === undefined) throw new Error('Nothing arrived');
    return got;
  }

  answer(result: Record<string, unknown>, { request, hearer }: Got = this.last): void {
    hearer.onAnswer(JsonRpcMessage.result(request.id ?? 0, result));
  }

  fail(code: number, message: string, { request, hearer }: Got = this.last): void {
    hearer.onAnswer(JsonRpcMessage.error(request.id ?? 0, code, message));
  }

  notify(): void {}

  respond(response: JsonRpcMessage): void {
    this.responses.push(response);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** What a client heard. */
export class Ear implements Hearer {
  readonly messages: JsonRpcMessage[] = [];
  readonly answers: JsonRpcMessage[] = [];

  onMessage(message: JsonRpcMessage): void {
    this.messages.push(message);
  }

  onAnswer(answer: JsonRpcMessage): void {
    this.answers.push(answer);
  }

  get answer(): {
    id?: unknown;
    result?: Readonly<Record<string, unknown>>;
    error?: Readonly<Record<string, unknown>>;
  } {
    const [answer, ...more] = this.answers;
    if (answer === undefined || more.length > 0) throw new Error(`${this.answers.length} answers`);
    return answer.value as never;
  }
}

export function asker(era: Era, change: Partial<Asker> & { user?: string } = {}): Asker {
  const { user = 'ada', ...more } = change;
  const identity = { sub: user } as unknown as Identity;
  return { identity, session: undefined, era, credentials: undefined, headers: {}, ...more };
}

/** A request of 2026-07-28 and who sends it, with the headers that go with it. */
export function modern(
  method: string,
  params: Record<string, unknown> = {},
  { capabilities = {}, id = 1, meta = {} }: { capabilities?: object; id?: string | number; meta?: object } = {},
): [JsonRpcMessage, Asker] {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    ...meta,
  };
  const headers: Record<string, string> = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method };
  const name = params['name'] ?? params['uri'];
  if (typeof name === 'string') headers['mcp-name'] = name;
  return [JsonRpcMessage.request(id, method, { ...params, _meta }), asker('modern', { headers })];
}

export const nobody = { onMessage: () => undefined, onEnd: () => undefined };

export const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
