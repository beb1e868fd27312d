import { isRecord } from '../../router/jsonrpc.ts';
import { asObject, type Json, without } from './json.ts';
import { metaKey, modernRevision, tasksExtension } from './revisions.ts';

/** Who sends a request and what it can do: said once per session up to 2025-11-25, with each request since. */
export interface Sender {
  readonly clientInfo: Json | undefined;
  readonly capabilities: Json;
  /** The least severe log message that the request's sender wants; none unless told. */
  readonly logLevel: string | undefined;
}

/** What can be wrong with the `_meta` of a modern request, as JSON-RPC has it. */
export interface Unreadable {
  readonly problem: string;
  readonly missing?: readonly string[];
}

const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Reads the sender of a modern request (MCP 2026-07-28: version and capabilities are required, the name is not). */
export function readEnvelope(params: Json): Sender | Unreadable {
  const meta = params['_meta'];
  const required = [metaKey.protocolVersion, metaKey.clientCapabilities];
  const missing = isRecord(meta) ? required.filter((key) => !Object.hasOwn(meta, key)) : required;
  if (!isRecord(meta) || missing.length > 0) {
    return { problem: `The request does not say in _meta: ${missing.join(', ')}.`, missing };
  }
  const capabilities = meta[metaKey.clientCapabilities];
  const clientInfo = meta[metaKey.clientInfo];
  const logLevel = meta[metaKey.logLevel];
  if (!isRecord(capabilities)) return { problem: `${metaKey.clientCapabilities} must be an object.` };
  if (clientInfo !== undefined && !isRecord(clientInfo)) return { problem: `${metaKey.clientInfo} must be an object.` };
  if (logLevel !== undefined && !levels.includes(logLevel as string)) {
    return { problem: `${metaKey.logLevel} must be one of ${levels.join(', ')}.` };
  }
  return { clientInfo, capabilities, logLevel: logLevel as string | undefined };
}

/** The parameters of a legacy request as a modern server takes them. A client's name for itself is told, where it has one. */
export function toModernParams(params: Json, sender: Sender): Json {
  const { clientInfo, capabilities, logLevel } = sender;
  return {
    ...without(params, 'task'),
    _meta: {
      ...asObject(params['_meta']),
      [metaKey.protocolVersion]: modernRevision,
      [metaKey.clientCapabilities]: withoutTasks(capabilities),
      ...(clientInfo === undefined ? {} : { [metaKey.clientInfo]: clientInfo }),
      ...(logLevel === undefined ? {} : { [metaKey.logLevel]: logLevel }),
    },
  };
}

/** Tasks are begun by each era in a way of its own; what a client can do with those of its own is of no use in the other. */
function withoutTasks(capabilities: Json): Json {
  const rest = without(capabilities, 'tasks');
  const { extensions } = rest;
  return isRecord(extensions) ? { ...rest, extensions: without(extensions, tasksExtension) } : rest;
}

/** The parameters of a modern request as a legacy server takes them: what only the envelope needs is taken out. */
export function toLegacyParams(params: Json): Json {
  const rest = without(params, 'inputResponses', 'requestState', 'task', '_meta');
  const meta = without(
    asObject(params['_meta']),
    metaKey.protocolVersion,
    metaKey.clientInfo,
    metaKey.clientCapabilities,
    metaKey.logLevel,
  );
  return Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
}

/** Whether a log message is severe enough for who asked for `wanted` or worse (RFC 5424 §6.2.1). */
export function isWanted(level: unknown, wanted: string | undefined): boolean {
  return wanted !== undefined && levels.indexOf(String(level)) >= levels.indexOf(wanted);
}

export function isLogLevel(level: unknown): level is string {
  return typeof level === 'string' && levels.includes(level);
}
