import type { RawTool } from '../../domain/mcp/index.ts';
import { UpstreamFailedError } from '../../shared/errors.ts';
import { isRecord } from './jsonrpc.ts';

/** The answer of a tools/list, taken apart. */
export interface ToolsAnswer {
  readonly message: Readonly<Record<string, unknown>>;
  readonly result: Readonly<Record<string, unknown>>;
  readonly tools: readonly RawTool[];
  /** Whether there is more to ask for. */
  readonly more: boolean;
}

/** Nothing for an answer without a list: an error, say. */
export function readToolsAnswer(text: string): ToolsAnswer | undefined {
  const message: unknown = JSON.parse(text);
  if (!isRecord(message) || !isRecord(message['result'])) return undefined;
  const { result } = message;
  const listed = result['tools'];
  if (!Array.isArray(listed)) return undefined;
  return { message, result, tools: listed.filter(isRecord), more: typeof result['nextCursor'] === 'string' };
}

/**
 * The same answer with these tools. It is written anew, so that no reader finds in it what was not judged: a member that was
 * there twice, say. What depends on the caller must not be kept for others (`cacheScope`, MCP 2026-07-28).
 */
export function withTools({ message, result }: ToolsAnswer, tools: readonly RawTool[]): string {
  const caching = result['cacheScope'] === 'public' ? { cacheScope: 'private' } : {};
  try {
    return JSON.stringify({ ...message, result: { ...result, tools, ...caching } });
  } catch {
    // biome-ignore lint/style/useErrorCause: a stack that was exhausted says nothing more
    throw new UpstreamFailedError('The list of the server is nested too deep.');
  }
}

/** An event with other data; its name, id and time to reconnect stay. */
export function withData(event: Buffer, data: string): Buffer {
  const fields = event
    .toString('utf8')
    .split(/\r\n|\n|\r/)
    .filter((line) => /^(?:id|event|retry)(?::|$)/.test(line));
  return Buffer.from(`${[...fields, `data: ${data}`].join('\n')}\n\n`);
}
