import { isUtf8 } from 'node:buffer';
import { toolNameFault } from '../../shared/tool-name.ts';
import type { RemoteSpan } from '../../shared/tracing.ts';
import { remoteSpan } from './trace-of.ts';

/**
 * Reading one JSON-RPC message of MCP (schema revisions 2024-11-05 to 2026-07-28). By hand and without a schema
 * library on purpose: this runs for every request, and only the envelope concerns the router. What `params` must look
 * like beyond a tool's name and arguments is for the server to say.
 */
export type RequestId = string | number;

export type Message =
  | {
      readonly kind: 'call';
      readonly id: RequestId;
      readonly tool: string;
      readonly input: unknown;
      readonly trace?: RemoteSpan;
    }
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly trace?: RemoteSpan }
  | { readonly kind: 'notification'; readonly method: string; readonly cancels: RequestId | undefined }
  | { readonly kind: 'response'; readonly to: unknown; readonly result: unknown }
  | Malformed;

/** What is wrong with a message, as the JSON-RPC error that it is answered with. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly code: number;
  readonly message: string;
  readonly id: RequestId | null;
  /** Set when the message was meant as a tool call; the attempt is a row. Empty when it named no tool. */
  readonly tool?: string;
}

const parseError = -32700;
const invalidRequest = -32600;
const invalidParams = -32602;
/** HeaderMismatch of MCP 2026-07-28 (SEP-2243). */
const headerMismatch = -32020;

/** Nesting that no honest message needs; deeper ones would exhaust the stack of whoever walks them. */
const maxDepth = 128;

export function parseMessage(body: Buffer): Message {
  // Replacement characters would let the router read another text than the server gets.
  const text = body.toString('utf8');
  if (!isUtf8(body)) return unreadable(parseError, 'The body is not UTF-8.', text);
  const flaw = findFlaw(text);
  if (flaw !== undefined) return unreadable(invalidRequest, flaw, text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    return unreadable(parseError, 'The body is not valid JSON.', text);
  }
  if (Array.isArray(value)) {
    const message = 'Batches are not part of MCP since revision 2025-06-18: send one message a request.';
    return unreadable(invalidRequest, message, text);
  }
  if (!isRecord(value)) return malformed(invalidRequest, 'The body is not a JSON-RPC message.');
  return classify(value);
}

function classify(message: Readonly<Record<string, unknown>>): Message {
  const { id, method, params } = message;
  const validId = typeof id === 'string' || (typeof id === 'number' && Number.isFinite(id)) ? id : undefined;
  if (message['jsonrpc'] !== '2.0') {
    const refused = malformed(invalidRequest, 'jsonrpc must be "2.0".', validId);
    return method === 'tools/call' ? { ...refused, tool: toolOf(params) } : refused;
  }
  const answers = message['result'] !== undefined || message['error'] !== undefined;
  if (method === undefined) {
    return answers
      ? { kind: 'response', to: id, result: message['result'] }
      : malformed(invalidRequest, 'The message has neither method nor result.', validId);
  }
  if (typeof method !== 'string') return malformed(invalidRequest, 'method must be a string.', validId);
  if (answers) return malformed(invalidRequest, 'A message is either a request or a response, not both.', validId);
  if (method === 'tools/call') return classifyCall(validId, params);
  if (id === undefined) return notification(method, params);
  // MCP base protocol: unlike JSON-RPC, the id must not be null.
  if (validId === undefined) return malformed(invalidRequest, 'id must be a string or a number.');
  const trace = traceIn(params);
  return trace === undefined
    ? { kind: 'request', id: validId, method }
    : { kind: 'request', id: validId, method, trace };
}

/** The trace that `params._meta` names (MCP 2026-07-28, SEP-414). */
function traceIn(params: unknown): RemoteSpan | undefined {
  const meta = isRecord(params) ? params['_meta'] : undefined;
  return isRecord(meta) ? remoteSpan(meta['traceparent'], meta['tracestate']) : undefined;
}

function notification(method: string, params: unknown): Message {
  const cancels = method === 'notifications/cancelled' && isRecord(params) ? params['requestId'] : undefined;
  return {
    kind: 'notification',
    method,
    cancels: typeof cancels === 'string' || typeof cancels === 'number' ? cancels : undefined,
  };
}

function classifyCall(id: RequestId | undefined, params: unknown): Message {
  const tool = toolOf(params);
  // A call without an id would run and answer nobody: there would be no answer to hold back.
  if (id === undefined) return { ...malformed(invalidRequest, 'tools/call needs an id: a string or a number.'), tool };
  if (!isRecord(params)) return { ...malformed(invalidParams, 'params must be an object.', id), tool };
  if (tool === '') return { ...malformed(invalidParams, 'params.name must name a tool.', id), tool };
  const fault = toolNameFault(tool);
  // No server has a tool of that name, and whoever reads the audit is not to be misled by it.
  if (fault !== undefined) return { ...malformed(invalidParams, `params.name ${fault}.`, id), tool };
  const task = params['task'];
  if (task !== undefined && !isRecord(task)) {
    return { ...malformed(invalidParams, 'params.task must be an object.', id), tool };
  }
  const input = params['arguments'];
  if (input !== undefined && !isRecord(input)) {
    return { ...malformed(invalidParams, 'params.arguments must be an object.', id), tool };
  }
  const trace = traceIn(params);
  const call = { kind: 'call', id, tool, input: input ?? {} } as const;
  return trace === undefined ? call : { ...call, trace };
}

function toolOf(params: unknown): string {
  const name = isRecord(params) ? params['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

/**
 * What mirrored headers say against the message, or nothing. The call that is judged is the body's; a server that goes
 * by the headers must not be made to run another one.
 */
export function headerMismatchOf(
  message: Message & { readonly kind: 'call' | 'request' | 'notification' },
  mirrored: { readonly method: string | undefined; readonly name: string | undefined },
): Malformed | undefined {
  const call = message.kind === 'call';
  const method = call ? 'tools/call' : message.method;
  const id = message.kind === 'notification' ? undefined : message.id;
  const says = (header: string) =>
    malformed(headerMismatch, `The header ${header} says something else than the body.`, id);
  let mismatch: Malformed | undefined;
  if (mirrored.method !== undefined && mirrored.method !== method) mismatch = says('Mcp-Method');
  else if (call && mirrored.name !== undefined && decodeMirrored(mirrored.name) !== message.tool)
    mismatch = says('Mcp-Name');
  return mismatch !== undefined && call ? { ...mismatch, tool: message.tool } : mismatch;
}

/** Values that no header may hold come as `=?base64?<base64 of UTF-8>?=` (MCP 2026-07-28, SEP-2243). */
function decodeMirrored(value: string): string {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  return encoded === undefined ? value : Buffer.from(encoded, 'base64').toString('utf8');
}

/** What can't be read as one message, though it may speak of a tool call: then the attempt is a row. */
function unreadable(code: number, message: string, text: string): Malformed {
  const refused = malformed(code, message);
  return /tools\\?\/call/.test(text) ? { ...refused, tool: '' } : refused;
}

function malformed(code: number, message: string, id?: RequestId): Malformed {
  return { kind: 'malformed', code, message, id: id ?? null };
}

const envelopeMembers: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const paramMembers: ReadonlySet<string> = new Set(['name', 'arguments', '_meta', 'task']);

/**
 * The body goes to the server as it came, so it must not be possible to read it in two ways: a member that is repeated
 * (RFC 8259 §4: which one counts is up to the parser) or that differs from a known one only in letter case (some
 * parsers match names without it) would let one call be judged and another be run. Looks at the envelope and at
 * `params`, for repetitions at everything within `params`: rules, approvals and the audit go by the arguments. The same
 * pass bounds the depth. Says what is wrong, or nothing; does not check the syntax.
 */
function findFlaw(text: string): string | undefined {
  const outline = new Outline();
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === quote) {
      const end = endOfString(text, at);
      if (outline.watches && isNameAt(text, end + 1)) outline.name(nameOf(text.slice(at, end + 1)));
      at = end;
    } else if (unit === openBrace || unit === openBracket) {
      outline.open(unit === openBrace);
    } else if (unit === closeBrace || unit === closeBracket) {
      outline.depth -= 1;
    }
    if (outline.flaw !== undefined) return outline.flaw;
  }
  return undefined;
}

/** Where in a message the scan is, and which names it has met. */
class Outline {
  depth = 0;
  flaw: string | undefined;
  #inParams = false;
  #lastName = '';
  /** Names met in the value that is open at each depth; of those that are over, what the next one begins with anew. */
  readonly #seen: (Names | undefined)[] = [];

  /** Whether a name here belongs to the envelope or to something within `params`. */
  get watches(): boolean {
    return this.depth === 1 || this.#inParams;
  }

  open(isObject: boolean): void {
    this.depth += 1;
    if (this.depth > maxDepth) this.flaw = `The message is nested deeper than ${maxDepth} levels.`;
    if (this.depth === 2) this.#inParams = isObject && this.#lastName === 'params';
    this.#seen[this.depth]?.forget();
  }

  name(name: string): void {
    const { depth } = this;
    if (depth === 1) this.#lastName = name;
    const known = depth === 1 ? envelopeMembers : depth === 2 ? paramMembers : undefined;
    // Both foldings: the long s and the Kelvin sign each survive one of them.
    const folded = known === undefined || known.has(name) ? name : name.toUpperCase().toLowerCase();
    this.#seen[depth] ??= new Names();
    const seen = this.#seen[depth];
    if (!seen.add(folded)) this.flaw = 'A member of the message is repeated.';
    else if (folded !== name && known?.has(folded)) this.flaw = `A member of the message must be written "${folded}".`;
  }
}

/** How many names are compared one by one; more of them, whose number a client chooses, are looked up. */
const fewNames = 8;

/** The names of one object. */
class Names {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** @returns false when it is there already */
  add(name: string): boolean {
    if (this.#many === undefined) {
      if (this.#few.includes(name)) return false;
      this.#few.push(name);
      if (this.#few.length > fewNames) this.#many = new Set(this.#few);
      return true;
    }
    if (this.#many.has(name)) return false;
    this.#many.add(name);
    return true;
  }

  forget(): void {
    this.#few.length = 0;
    this.#many = undefined;
  }
}

const quote = 0x22;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Index of the quote that ends the string beginning at `start`, or the text's end. */
function endOfString(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end === -1) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return end;
  }
}

function isNameAt(text: string, after: number): boolean {
  for (let at = after; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x3a) return true;
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return false;
  }
  return false;
}

function nameOf(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
