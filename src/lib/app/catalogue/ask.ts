import type { Dispatcher } from 'undici';
import type { Claims } from '../../domain/auth/index.ts';
import type { RawTool } from '../../domain/mcp/index.ts';
import { identityHeaderName, signIdentity } from '../../infra/security/identity-header.ts';
import { TooLargeError, UpstreamFailedError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { credentialsHeaderName } from '../bridge/credentials.ts';
import { mediaType } from '../router/headers.ts';
import { isRecord } from '../router/jsonrpc.ts';
import { eventData, SseSplitter } from '../router/sse.ts';
import { toUpstreamError } from '../router/upstream-errors.ts';
import type { Upstream, Upstreams } from '../router/upstreams.ts';

/** Most pages of one list, most tools, most bytes of all pages; how long one page may take, in ms. */
const limits = { pages: 200, tools: 5_000, bytes: 20 * 1024 * 1024, pageMs: 30_000 } as const;

/** The revision in which a server is asked: every port takes it without a session. */
const protocolVersion = '2025-11-25';
/** Nobody's id: it is the system that asks. */
const nobody = '00000000-0000-0000-0000-000000000000';

/** In whose name a server is asked. */
export type AskedFor = Pick<Claims, 'sub' | 'name' | 'sid' | 'scopes'>;

/**
 * The whole list of a server's tools, page by page.
 * @param asking on behalf of whom: a user, or the system with what the server asks of its callers
 * @param credentials for the header `x-systemprompt-upstream`
 * @throws UpstreamUnavailableError, UpstreamFailedError for an answer that is none, TooLargeError beyond the limits
 */
export async function askForTools(
  upstreams: Pick<Upstreams, 'to'>,
  server: string,
  asking: Pick<AskedFor, 'scopes'> & Partial<AskedFor>,
  credentials?: string,
): Promise<{ readonly tools: RawTool[]; readonly instanceId: string }> {
  const upstream = upstreams.to(server);
  const tools: RawTool[] = [];
  const cursors = new Set<string>();
  let bytes = 0;
  let cursor: string | undefined;
  for (let page = 1; ; page += 1) {
    const { text, result } = await askPage(upstream, { asking, credentials }, page, cursor, limits.bytes - bytes);
    bytes += text.length;
    const listed = result['tools'];
    if (!Array.isArray(listed)) throw new UpstreamFailedError('The server answered without a list of tools.');
    for (const tool of listed) if (isRecord(tool)) tools.push(tool);
    if (tools.length > limits.tools) throw beyond(`more than ${limits.tools} tools`);
    const next = result['nextCursor'];
    if (next === undefined || next === null || next === '') return { tools, instanceId: upstream.instanceId };
    if (typeof next !== 'string' || cursors.has(next))
      throw new UpstreamFailedError('The server gave a cursor that leads nowhere new.');
    if (page >= limits.pages) throw beyond(`more than ${limits.pages} pages`);
    cursors.add(next);
    cursor = next;
  }
}

interface Asking {
  readonly asking: Pick<AskedFor, 'scopes'> & Partial<AskedFor>;
  readonly credentials: string | undefined;
}

async function askPage(
  upstream: Upstream,
  { asking, credentials }: Asking,
  id: number,
  cursor: string | undefined,
  limit: number,
): Promise<{ readonly text: string; readonly result: Readonly<Record<string, unknown>> }> {
  const now = Math.floor(Date.now() / 1000);
  const identity = {
    aud: upstream.instanceId,
    sub: asking.sub ?? (nobody as UserId),
    name: asking.name ?? 'system',
    sid: asking.sid ?? (nobody as SessionId),
    scopes: [...asking.scopes],
    iat: now,
    exp: now + 60,
  };
  const params = cursor === undefined ? {} : { cursor };
  const signal = AbortSignal.timeout(limits.pageMs);
  let response: Dispatcher.ResponseData;
  try {
    response = await upstream.pool.request({
      path: '/mcp',
      method: 'POST',
      signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': protocolVersion,
        [identityHeaderName]: signIdentity(upstream.identityKey, identity),
        ...(credentials === undefined ? {} : { [credentialsHeaderName]: credentials }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list', params }),
    });
  } catch (error) {
    throw toUpstreamError(error);
  }
  const text = await answerOf(response, id, limit);
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (cause) {
    throw new UpstreamFailedError(`The server answered with status ${response.statusCode} and no JSON.`, { cause });
  }
  if (!isRecord(message)) throw new UpstreamFailedError('The server answered with no JSON-RPC message.');
  const { result, error } = message;
  if (isRecord(error))
    throw new UpstreamFailedError(`The server answered with an error: ${String(error['message']).slice(0, 500)}`);
  if (!isRecord(result) || message['id'] !== id) throw new UpstreamFailedError('The server answered another request.');
  return { text, result };
}

/** The text of the answer's message: the body, or the event of a stream that has the id. */
async function answerOf(response: Dispatcher.ResponseData, id: number, limit: number): Promise<string> {
  const { body, headers, statusCode } = response;
  const streams = mediaType(headers) === 'text/event-stream';
  const splitter = new SseSplitter(Math.max(limit, 1));
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limit) throw beyond(`more than ${limits.bytes} bytes`);
      if (!streams) {
        chunks.push(chunk);
        continue;
      }
      for (const event of splitter.push(chunk)) {
        const data = eventData(event);
        if (data !== '' && isAnswer(data, id)) return data;
      }
    }
  } catch (error) {
    throw toUpstreamError(error);
  } finally {
    body.destroy();
  }
  if (streams) throw new UpstreamFailedError('The server ended its stream without an answer.');
  if (statusCode >= 300 && mediaType(headers) !== 'application/json')
    throw new UpstreamFailedError(`The server answered with status ${statusCode}.`);
  return Buffer.concat(chunks).toString('utf8');
}

function isAnswer(data: string, id: number): boolean {
  try {
    const message: unknown = JSON.parse(data);
    return isRecord(message) && message['id'] === id && message['method'] === undefined;
  } catch {
    return false; // a stream may carry what is no message; what is due is waited for
  }
}

function beyond(what: string): TooLargeError {
  return new TooLargeError(`The server's list of tools has ${what}.`, { data: { ...limits } });
}
