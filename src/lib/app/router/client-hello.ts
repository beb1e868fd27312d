import { isRecord } from './jsonrpc.ts';
import { elicits } from './question.ts';

/** What a client says of itself when it begins a session (`initialize`). */
export interface ClientHello {
  readonly protocolVersion: string | undefined;
  readonly clientName: string | undefined;
  readonly clientVersion: string | undefined;
  /** Whether its user can be asked something. */
  readonly elicits?: boolean | undefined;
}

/** Reads it from an initialize request that was parsed before. What is not text is left out; what is long is cut. */
export function helloOf(body: Buffer): ClientHello {
  const message: unknown = JSON.parse(body.toString('utf8'));
  const params = isRecord(message) && isRecord(message['params']) ? message['params'] : {};
  const info = isRecord(params['clientInfo']) ? params['clientInfo'] : {};
  return {
    protocolVersion: shortText(params['protocolVersion'], 40),
    clientName: shortText(info['name'], 200),
    clientVersion: shortText(info['version'], 200),
    ...(elicits(params['capabilities']) ? { elicits: true } : {}),
  };
}

/** Text that may be stored and shown: no control characters or halves of characters, and bounded. */
function shortText(value: unknown, limit: number): string | undefined {
  if (typeof value !== 'string') return undefined;
  const clean = value
    .slice(0, limit * 2)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .trim();
  return clean === '' ? undefined : clean.slice(0, limit).toWellFormed();
}
