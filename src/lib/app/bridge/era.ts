import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../router/jsonrpc.ts';
import { legacyRevisions, metaKey, modernRevision } from './eras/revisions.ts';
import type { JsonRpcMessage } from './message.ts';

/** Whether a message is of the modern era: by what it says of itself, else by what the request around it says. */
export function isModernRevision(headers: IncomingHttpHeaders, { method, value }: JsonRpcMessage): boolean {
  const header = headers['mcp-protocol-version'];
  if (typeof header === 'string' && header >= modernRevision) return true;
  if (method === 'server/discover') return true;
  const { params } = value;
  const meta = isRecord(params) ? params['_meta'] : undefined;
  return isRecord(meta) && meta[metaKey.protocolVersion] !== undefined;
}

/**
 * The revision that a client is told which shares a server: what it asked for, but nothing newer than the server speaks.
 * Revisions are dates, and each says the same as the one before in the parts that pass here.
 */
export function negotiated(
  initialize: Readonly<Record<string, unknown>>,
  initialized: Readonly<Record<string, unknown>>,
): unknown {
  const wanted = legacyRevisions.find((revision) => revision === initialize['protocolVersion']);
  const spoken = initialized['protocolVersion'];
  return wanted !== undefined && typeof spoken === 'string' && wanted < spoken ? wanted : spoken;
}
