import { isRecord } from '../../router/jsonrpc.ts';
import type { Asker } from '../backend.ts';
import type { JsonRpcMessage } from '../message.ts';
import { readEnvelope, type Sender } from './envelope.ts';
import { failed, type RpcError } from './json.ts';
import { mirroredHeaders } from './mirrored.ts';
import { errorCode, isForeign, legacyRevisions, metaKey, modernRevision } from './revisions.ts';

/**
 * Who sends a modern request, or why it can't be taken (MCP 2026-07-28, Streamable HTTP): the revision, what the headers
 * say against the body, what the envelope lacks, methods of the other era.
 */
export function readModern(request: JsonRpcMessage, asker: Asker): Sender | { readonly error: RpcError } {
  const { params, method } = request;
  const meta = params['_meta'] as Readonly<Record<string, unknown>> | undefined;
  const header = asker.headers['mcp-protocol-version'];
  const version = meta?.[metaKey.protocolVersion] ?? header;
  const mismatch = mismatchOf(request, asker, version);
  if (mismatch !== undefined) return failed(errorCode.headerMismatch, mismatch);
  if (version !== undefined && version !== modernRevision) {
    const supported = [modernRevision, ...legacyRevisions];
    const data = { supported, requested: version };
    return failed(errorCode.unsupportedVersion, `The revision ${String(version)} is not spoken here.`, data);
  }
  const envelope = readEnvelope(params);
  if ('problem' in envelope) {
    return failed(errorCode.invalidParams, envelope.problem, { missing: envelope.missing ?? [] });
  }
  if (isForeign(method, 'modern')) {
    return failed(errorCode.methodNotFound, `${method} is not part of MCP ${modernRevision}.`);
  }
  return envelope;
}

/** What the headers that repeat the body say against it; a request over HTTP has them all. */
function mismatchOf(request: JsonRpcMessage, { headers }: Asker, version: unknown): string | undefined {
  if (headers['mcp-protocol-version'] !== version)
    return 'The header MCP-Protocol-Version says something else than the body.';
  for (const [name, value] of Object.entries(mirroredHeaders(request.method, request.params))) {
    const given = headers[name];
    if (given === undefined) return `The header ${display(name)} is missing.`;
    if (decoded(given) !== decoded(value)) return `The header ${display(name)} says something else than the body.`;
  }
  return undefined;
}

function display(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

function decoded(value: string | readonly string[]): string | undefined {
  if (typeof value !== 'string') return undefined;
  const inside = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  return inside === undefined ? value.trim() : Buffer.from(inside, 'base64').toString('utf8');
}

/** The HTTP status of an answer to a modern request: the protocol's own refusals have one (2026-07-28, Streamable HTTP). */
export function modernStatus(answer: JsonRpcMessage): number {
  const error = answer.value['error'] as RpcError | undefined;
  if (error === undefined) return 200;
  if (error.code === errorCode.methodNotFound) return 404;
  // Of invalid parameters only the envelope's have a status.
  if (error.code === errorCode.invalidParams)
    return isRecord(error.data) && error.data['missing'] !== undefined ? 400 : 200;
  const { parse, invalidRequest, headerMismatch, missingClientCapability, unsupportedVersion } = errorCode;
  const refused: readonly number[] = [
    parse,
    invalidRequest,
    headerMismatch,
    missingClientCapability,
    unsupportedVersion,
  ];
  return refused.includes(error.code) ? 400 : 200;
}
