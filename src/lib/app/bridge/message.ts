import { isRecord } from '../router/jsonrpc.ts';

export type RequestId = string | number;

export type MessageKind = 'request' | 'notification' | 'response';

/**
 * One JSON-RPC message on its way through the bridge: the text as it came and the same parsed. Whichever of the two is
 * not there yet is made when it is asked for, so a message that only passes is never written anew.
 */
export class JsonRpcMessage {
  readonly kind: MessageKind;
  /** Absent in notifications, null in the answer to something that could not be read. */
  readonly id: RequestId | null | undefined;
  /** Empty in responses. */
  readonly method: string;
  /** Not to be changed. */
  readonly value: Readonly<Record<string, unknown>>;
  #text: string | undefined;

  private constructor(value: Readonly<Record<string, unknown>>, kind: MessageKind, text: string | undefined) {
    const { id, method } = value;
    this.value = value;
    this.kind = kind;
    this.id = id as RequestId | null | undefined;
    this.method = kind === 'response' ? '' : (method as string);
    this.#text = text;
  }

  /** @returns undefined when the text is not one JSON-RPC 2.0 message */
  static parse(text: string): JsonRpcMessage | undefined {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return undefined; // the caller says what became of it; the parser's own words quote the text
    }
    const kind = isRecord(value) ? kindOf(value) : undefined;
    return kind === undefined ? undefined : new JsonRpcMessage(value as Record<string, unknown>, kind, text);
  }

  /** A message of our own making. */
  static of(value: Readonly<Record<string, unknown>>): JsonRpcMessage {
    const kind = kindOf(value);
    if (kind === undefined) throw new TypeError('That is no JSON-RPC message');
    return new JsonRpcMessage(value, kind, undefined);
  }

  static request(id: RequestId, method: string, params: Readonly<Record<string, unknown>> = {}): JsonRpcMessage {
    return JsonRpcMessage.of({ jsonrpc: '2.0', id, method, params });
  }

  static notification(method: string, params: Readonly<Record<string, unknown>> = {}): JsonRpcMessage {
    return JsonRpcMessage.of({ jsonrpc: '2.0', method, params });
  }

  static result(id: RequestId, result: Readonly<Record<string, unknown>>): JsonRpcMessage {
    return JsonRpcMessage.of({ jsonrpc: '2.0', id, result });
  }

  static error(id: RequestId | null, code: number, message: string, data?: unknown): JsonRpcMessage {
    return JsonRpcMessage.of({ jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } });
  }

  /** JSON text; it may have line breaks between its tokens, see {@link line}. */
  get text(): string {
    this.#text ??= JSON.stringify(this.value);
    return this.#text;
  }

  /** JSON text without a line break. */
  get line(): string {
    const { text } = this;
    return text.includes('\n') || text.includes('\r') ? JSON.stringify(this.value) : text;
  }

  get params(): Readonly<Record<string, unknown>> {
    const { params } = this.value;
    return isRecord(params) ? params : {};
  }

  /** The same message under another id. The text is cut and joined where the id stands, not written anew. */
  withId(id: RequestId): JsonRpcMessage {
    const text = this.#text === undefined ? undefined : replaceId(this.#text, this.id, JSON.stringify(id));
    return new JsonRpcMessage({ ...this.value, id }, this.kind, text);
  }

  /** The same message with other params. */
  withParams(params: Readonly<Record<string, unknown>>): JsonRpcMessage {
    return new JsonRpcMessage({ ...this.value, params }, this.kind, undefined);
  }
}

function kindOf(value: Readonly<Record<string, unknown>>): MessageKind | undefined {
  const { jsonrpc, id, method, result, error } = value;
  if (jsonrpc !== '2.0') return undefined;
  const validId = typeof id === 'string' || (typeof id === 'number' && Number.isFinite(id));
  if (method === undefined) {
    // The answer to something that could not be read has the id null (JSON-RPC 2.0 §5), or none (MCP 2025-11-25).
    if (isRecord(result) && error === undefined) return validId ? 'response' : undefined;
    const answers = isRecord(error) && result === undefined && (validId || id === null || id === undefined);
    return answers ? 'response' : undefined;
  }
  if (typeof method !== 'string' || result !== undefined || error !== undefined) return undefined;
  if (id === undefined) return 'notification';
  return validId ? 'request' : undefined;
}

/** How most programs begin a message, and how others end one; anything between stands deeper or elsewhere. */
const headId = /^\{"jsonrpc":"2\.0","id":(-?\d{1,15}|"[^"\\]{0,64}")(?=[,}])/;
const tailId = /[,{]"id":(-?\d{1,15}|"[^"\\]{0,64}")\}\s*$/;
const tailLength = 96;

/**
 * The text with another id, or nothing when the id stands in an unusual place. What the pattern at the end finds is a
 * member of the message itself: in valid JSON a quote after a comma or brace opens a name, and the last brace is the message's.
 */
function replaceId(text: string, id: RequestId | null | undefined, fresh: string): string | undefined {
  const head = headId.exec(text)?.[1];
  if (head !== undefined) {
    if (head !== JSON.stringify(id)) return undefined;
    const at = '{"jsonrpc":"2.0","id":'.length;
    return text.slice(0, at) + fresh + text.slice(at + head.length);
  }
  const from = Math.max(0, text.length - tailLength);
  const tail = tailId.exec(from === 0 ? text : text.slice(from));
  if (tail === null || tail[1] !== JSON.stringify(id)) return undefined;
  const at = from + tail.index + ',"id":'.length;
  return text.slice(0, at) + fresh + text.slice(at + tail[1].length);
}
