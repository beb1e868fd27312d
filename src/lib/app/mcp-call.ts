import { packageVersion } from '../infra/config/package-root.ts';
import { type Artifact, artifactSchema } from '../shared/artifact.ts';
import { NotFoundError, UpstreamFailedError } from '../shared/errors.ts';
import { nearest } from '../shared/nearest.ts';
import { formatBytes } from '../shared/text/cells.ts';
import type { CommandContext } from './command-context.ts';
import { requireGenuineApi } from './genuine-api.ts';
import { advised } from './mcp-advice.ts';
import { type GivenArgument, typedArguments } from './mcp-arguments.ts';
import {
  type CallProgress,
  type McpContent,
  type McpDescription,
  type McpSession,
  type McpTool,
  type McpToolResult,
  withMcpServer,
} from './mcp-client.ts';
import type { AnswerQuestion } from './mcp-questions.ts';
import { notServed } from './not-served.ts';
import { signIn } from './sign-in.ts';

/** Long enough for the handshake, the list and the start of the call; the token dies soon after. */
const tokenSeconds = 60;
/** A person who is asked takes their time, and answers with the same token. */
const askingTokenSeconds = 15 * 60;
const listTimeoutMs = 30_000;

export interface ToolCall {
  readonly server: string;
  readonly tool: string;
  /** The arguments as an object. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Single arguments as text; each becomes what the tool's schema says it is. */
  readonly single: readonly GivenArgument[];
  /** Without the time that a person is asked. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Answers what the server asks; absent where nobody can. */
  readonly answer?: AnswerQuestion | undefined;
  readonly onProgress?: (progress: CallProgress) => void;
}

/** The tools of a server that runs. */
export async function listTools(
  context: CommandContext,
  server: string,
  signal: AbortSignal,
): Promise<readonly McpTool[]> {
  return await connected(context, server, { timeoutMs: listTimeoutMs, signal }, (session) => session.listTools());
}

/**
 * What a server that runs says of itself.
 * @param timeoutMs for all that it is asked
 */
export async function describeServer(
  context: CommandContext,
  server: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<McpDescription> {
  return await connected(context, server, { timeoutMs, signal }, (session) => session.describe());
}

/**
 * Calls a tool.
 *
 * @returns the artifact that the tool gave; anything else it gave as text
 * @throws UpstreamFailedError with the tool's own words when it says that it failed
 */
export async function callTool(context: CommandContext, call: ToolCall): Promise<Artifact> {
  const result = await connected(context, call.server, call, async (session) => {
    const args = call.single.length === 0 ? { ...call.args } : { ...call.args, ...(await typed(session, call)) };
    return await session.callTool(call.tool, args, call.onProgress);
  }).catch((error: unknown) => {
    // What the server says of its own tools; the tools that there are help more than how calls are written.
    if (!(error instanceof NotFoundError) || error.data['json_rpc_code'] !== -32_602) throw error;
    throw new NotFoundError(error.message, {
      next: [`plugins mcp tools ${call.server}`],
      data: error.data,
      cause: error,
    });
  });
  const text = withoutCode(textOf(result), result);
  if (result.isError === true) {
    throw new UpstreamFailedError(text === '' ? `${call.tool} failed without saying why` : text, {
      next: ['admin audit list --limit 5'],
      data: { server: call.server, tool: call.tool },
    });
  }
  const artifact = artifactSchema.safeParse(result.structuredContent);
  if (artifact.success) return artifact.data;
  const { structuredContent } = result;
  const data = dataOf(structuredContent, result.content ?? []);
  return { type: 'text', content: text, ...(data === undefined ? {} : { data }) };
}

async function connected<T>(
  context: CommandContext,
  server: string,
  options: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly answer?: AnswerQuestion | undefined;
  },
  use: (session: McpSession) => Promise<T>,
): Promise<T> {
  const status = await (await context.supervisor()).status();
  const missing = await notServed(context, status, server);
  if (missing !== undefined) throw missing;
  await requireGenuineApi(status, options.signal, () => context.runningStatus());
  const { certificate } = (await context.profile()).server.https;
  if (certificate !== undefined) {
    const { trustOwnCertificate } = await import('../infra/http/own-certificate.ts');
    await trustOwnCertificate(certificate);
  }
  const { timeoutMs, signal, answer } = options;
  const ttlSeconds = answer === undefined ? tokenSeconds : askingTokenSeconds;
  const { token, audience } = await signIn(context, { server, ttlSeconds });
  const connection = { url: audience, token, version: packageVersion(), timeoutMs, signal, answer };
  return await withMcpServer(connection, use).catch((error: unknown) => {
    throw advised(error, server);
  });
}

async function typed(session: McpSession, call: ToolCall): Promise<Record<string, unknown>> {
  const tools = await session.listTools();
  const tool = tools.find((candidate) => candidate.name === call.tool);
  if (tool === undefined) throw unknownTool(call, tools);
  return typedArguments(call.single, tool.inputSchema.properties ?? {}, call);
}

function unknownTool(call: ToolCall, tools: readonly McpTool[]): NotFoundError {
  const close = nearest(
    call.tool,
    tools.map((tool) => tool.name),
  );
  return new NotFoundError(`${call.server} has no tool ${call.tool}`, {
    ...(close.length > 0 ? { hint: `Did you mean ${close.join(' or ')}?` } : {}),
    next: [`plugins mcp tools ${call.server}`],
  });
}

/** The tools of our own servers begin a failure with its code, for a model to read; a person has the words. */
function withoutCode(text: string, { isError, _meta }: McpToolResult): string {
  const error = isError === true ? _meta?.['systemprompt/error'] : undefined;
  if (typeof error !== 'object' || error === null || !('code' in error)) return text;
  const prefix = `${String(error.code)}: `;
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function textOf(result: McpToolResult): string {
  return (result.content ?? []).map(partText).join('\n');
}

/** A part as a person reads it; of what is no text, what it is. */
function partText({ type, text, data, mimeType, uri, resource }: McpContent): string {
  if (type === 'text') return text ?? '';
  if (type === 'resource' && resource !== undefined) return resource.text ?? `[${resource.uri}]`;
  if (type === 'resource_link' && uri !== undefined) return uri;
  const size = data === undefined ? '' : `, ${formatBytes(Buffer.byteLength(data, 'base64'))}`;
  return `[${mimeType ?? type}${size}]`;
}

/** What programs get beside the text: what is no artifact, else the parts that are no text. */
function dataOf(structured: unknown, parts: readonly McpContent[]): Record<string, unknown> | undefined {
  if (typeof structured === 'object' && structured !== null) return { ...structured };
  return parts.some(({ type }) => type !== 'text') ? { content: parts } : undefined;
}
