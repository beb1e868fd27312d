import { isRecord } from '../../router/jsonrpc.ts';
import type { RequestId } from '../message.ts';

/** One JSON object of the wire. */
export type Json = Readonly<Record<string, unknown>>;

/** What answers a request: one of the two. */
export type Answer = { readonly result: Json } | { readonly error: RpcError };

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export interface Request {
  readonly id: RequestId;
  readonly method: string;
  readonly params: Json;
}

export interface Notification {
  readonly method: string;
  readonly params: Json;
}

export function asObject(value: unknown): Json {
  return isRecord(value) ? value : {};
}

export function failed(code: number, message: string, data?: unknown): { readonly error: RpcError } {
  return { error: data === undefined ? { code, message } : { code, message, data } };
}

/** The object without some of its members. */
export function without(value: Json, ...names: readonly string[]): Json {
  if (!names.some((name) => Object.hasOwn(value, name))) return value;
  const rest: Record<string, unknown> = { ...value };
  for (const name of names) delete rest[name];
  return rest;
}

/** What another program answered, in the form that the protocol asks for; a fault of that program otherwise. */
export function readAnswer(message: Json): Answer {
  const { result, error } = message;
  if (isRecord(result)) return { result };
  if (isRecord(error) && typeof error['message'] === 'string') {
    const { code, message: text, data } = error;
    return failed(typeof code === 'number' && Number.isInteger(code) ? code : -32_603, text as string, data);
  }
  return failed(-32_603, 'The server sent an answer that is neither a result nor an error.');
}
