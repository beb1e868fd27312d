import { isRecord } from '../../router/jsonrpc.ts';
import { type Answer, asObject, type Json, type RpcError, without } from './json.ts';
import { needsWrapper, wrapSchema } from './legacy-schema.ts';
import { errorCode, metaKey } from './revisions.ts';

/** Results that say how long they hold (SEP-2549). */
const cacheable: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'server/discover',
]);

/** The answer of a legacy server as a modern client takes it. */
export function toModernAnswer(method: string, answer: Answer, serverInfo: Json | undefined): Answer {
  if ('error' in answer) return { error: toModernError(answer.error) };
  return { result: toModernResult(method, answer.result, serverInfo) };
}

/**
 * A legacy result with what every modern one has: its kind, how long it holds (a legacy server does not say, so not at
 * all, and for nobody else), and who answered.
 */
function toModernResult(method: string, result: Json, serverInfo: Json | undefined): Json {
  const meta = asObject(result['_meta']);
  const named = serverInfo === undefined || meta[metaKey.serverInfo] !== undefined;
  return {
    ...withoutTasks(method, result),
    resultType: 'complete',
    ...(cacheable.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {}),
    ...(named ? {} : { _meta: { ...meta, [metaKey.serverInfo]: serverInfo } }),
  };
}

/** Tools that run as tasks of 2025-11-25 say so in `execution`, which the modern schema does not have. */
function withoutTasks(method: string, result: Json): Json {
  const { tools } = result;
  if (method !== 'tools/list' || !Array.isArray(tools)) return result;
  return { ...result, tools: tools.map((tool: unknown) => (isRecord(tool) ? without(tool, 'execution') : tool)) };
}

/** A resource that is not there is an invalid parameter since 2026-07-28. */
function toModernError(error: RpcError): RpcError {
  return error.code === errorCode.resourceNotFound ? { ...error, code: errorCode.invalidParams } : error;
}

/** The answer of a modern server as a legacy client takes it; `input_required` is not among them. */
export function toLegacyAnswer(method: string, answer: Answer): Answer {
  if ('error' in answer) return { error: toLegacyError(answer.error) };
  const result = withoutServer(without(answer.result, 'resultType', 'ttlMs', 'cacheScope'));
  if (method === 'tools/list') return { result: withWrappedOutputs(result) };
  return { result: method === 'tools/call' ? withObjectOutput(result) : result };
}

/** The codes that only modern clients know; what they mean is in the message. */
function toLegacyError(error: RpcError): RpcError {
  const { headerMismatch, missingClientCapability, unsupportedVersion, invalidRequest } = errorCode;
  const modern: readonly number[] = [headerMismatch, missingClientCapability, unsupportedVersion];
  return modern.includes(error.code) ? { ...error, code: invalidRequest } : error;
}

function withoutServer(result: Json): Json {
  const meta = result['_meta'];
  if (!isRecord(meta) || meta[metaKey.serverInfo] === undefined) return result;
  const rest = without(meta, metaKey.serverInfo);
  return Object.keys(rest).length === 0 ? without(result, '_meta') : { ...result, _meta: rest };
}

function withWrappedOutputs(result: Json): Json {
  const { tools } = result;
  if (!Array.isArray(tools)) return result;
  const wrapped = tools.map((tool: unknown) =>
    isRecord(tool) && needsWrapper(tool['outputSchema'])
      ? { ...tool, outputSchema: wrapSchema(tool['outputSchema']) }
      : tool,
  );
  return { ...result, tools: wrapped };
}

/** An output that is no object goes into one; its text is there as well for who reads `content` alone. */
function withObjectOutput(result: Json): Json {
  const { structuredContent: output, content } = result;
  if (output === undefined || isRecord(output)) return result;
  const blocks: readonly unknown[] = Array.isArray(content) ? content : [];
  const told = blocks.some((block) => isRecord(block) && block['type'] === 'text');
  return {
    ...result,
    structuredContent: { result: output },
    content: told ? blocks : [...blocks, { type: 'text', text: JSON.stringify(output) }],
  };
}
