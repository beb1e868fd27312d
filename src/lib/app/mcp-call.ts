import { packageVersion } from '../infra/config/package-root.ts';
import { type Artifact, artifactSchema } from '../shared/artifact.ts';
import { NotFoundError, UpstreamFailedError, UsageError } from '../shared/errors.ts';
import { nearest } from '../shared/nearest.ts';
import type { CommandContext } from './command-context.ts';
import { requireGenuineApi } from './genuine-api.ts';
import { advised } from './mcp-advice.ts';
import { type McpSession, type McpTool, type McpToolResult, withMcpServer } from './mcp-client.ts';
import { notServed } from './not-served.ts';
import { signIn } from './sign-in.ts';

/** Long enough for the handshake, the list and the start of the call; the token dies soon after. */
const tokenSeconds = 60;
const listTimeoutMs = 30_000;

export interface ToolCall {
  readonly server: string;
  readonly tool: string;
  /** The arguments as an object. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Single arguments as text; each becomes what the tool's schema says it is. */
  readonly single: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
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
 * Calls a tool.
 *
 * @returns the artifact that the tool gave; anything else it gave as text
 * @throws UpstreamFailedError with the tool's own words when it says that it failed
 */
export async function callTool(context: CommandContext, call: ToolCall): Promise<Artifact> {
  const result = await connected(context, call.server, call, async (session) => {
    const args = call.single.size === 0 ? { ...call.args } : { ...call.args, ...(await typed(session, call)) };
    return await session.callTool(call.tool, args);
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
  const data =
    typeof structuredContent === 'object' && structuredContent !== null ? { ...structuredContent } : undefined;
  return { type: 'text', content: text, ...(data === undefined ? {} : { data }) };
}

async function connected<T>(
  context: CommandContext,
  server: string,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
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
  const { token, audience } = await signIn(context, { server, ttlSeconds: tokenSeconds });
  const connection = { url: audience, token, version: packageVersion(), ...options };
  return await withMcpServer(connection, use).catch((error: unknown) => {
    throw advised(error, server);
  });
}

/** Arguments given as text, by the types of the tool's schema: a string stays as it is, everything else is JSON. */
async function typed(session: McpSession, call: ToolCall): Promise<Record<string, unknown>> {
  const tools = await session.listTools();
  const tool = tools.find((candidate) => candidate.name === call.tool);
  if (tool === undefined) throw unknownTool(call, tools);
  const known = tool.inputSchema.properties ?? {};
  return Object.fromEntries([...call.single].map(([name, text]) => [name, valueFor(name, text, known, call)]));
}

function valueFor(name: string, text: string, known: Readonly<Record<string, unknown>>, call: ToolCall): unknown {
  const property = known[name];
  const type = typeof property === 'object' && property !== null && 'type' in property ? property.type : undefined;
  if (type === 'string') return text;
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (type === undefined) return text;
    throw new UsageError(`The argument ${name} of ${call.tool} must be JSON (${String(type)})`, {
      hint: `Write it as --arg '${name}=<JSON>', or give all arguments by --args`,
      next: [`plugins mcp tools ${call.server}`],
      cause,
    });
  }
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
  return (result.content ?? []).map((part) => (part.type === 'text' ? (part.text ?? '') : `[${part.type}]`)).join('\n');
}
