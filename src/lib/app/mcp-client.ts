import {
  Client,
  InsufficientScopeError,
  ProtocolError,
  SdkError,
  SdkHttpError,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import {
  ApiUnavailableError,
  AppError,
  CancelledError,
  type ErrorDetails,
  ForbiddenError,
  NotFoundError,
  TimeoutError,
  UnauthenticatedError,
  UpstreamFailedError,
} from '../shared/errors.ts';
import { errorClass } from '../shared/wire.ts';
import { CallClock } from './call-clock.ts';
import { type AnswerQuestion, answerQuestions, askingCapabilities } from './mcp-questions.ts';

/** More than any request of ours may take, in ms: the clock that stands still for questions is ours. */
const sdkTimeoutMs = 2 ** 31 - 1;

export interface McpConnection {
  /** The server behind the API's router: `<url>/api/v1/mcp/<name>/mcp`. */
  readonly url: string;
  readonly token: string;
  /** Of this program, told to the server. */
  readonly version: string;
  /** How long all of it may take, in ms, without the time that a person is asked. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Absent where nobody can be asked, which the server is told. */
  readonly answer?: AnswerQuestion | undefined;
}

/** How far a call is, in the server's own measure (MCP, utilities: progress). */
export interface CallProgress {
  readonly progress: number;
  readonly total?: number | undefined;
  readonly message?: string | undefined;
}

/**
 * Connects to an MCP server as any client does: through the router, with a bearer token. There is no way around it, so
 * what the CLI calls is authorised and audited like everything else.
 *
 * @throws errors of ours only, whatever the protocol, HTTP or the network reported
 */
export async function withMcpServer<T>(connection: McpConnection, use: (client: McpSession) => Promise<T>): Promise<T> {
  const { answer } = connection;
  const client = new Client(
    { name: 'systemprompt-cli', version: connection.version },
    { versionNegotiation: { mode: 'auto' }, capabilities: answer === undefined ? {} : askingCapabilities },
  );
  using clock = new CallClock(connection.timeoutMs);
  answerQuestions(client, answer && ((question, signal) => clock.without(() => answer(question, signal))));
  const transport = new StreamableHTTPClientTransport(new URL(connection.url), {
    requestInit: { headers: { authorization: `Bearer ${connection.token}` } },
  });
  const options = { timeout: sdkTimeoutMs, signal: AbortSignal.any([connection.signal, clock.over]) };
  try {
    await client.connect(transport, options);
    return await use({
      describe: async () => await described(client, options),
      listTools: async () => (await client.listTools({}, options)).tools as readonly McpTool[],
      callTool: async (name, args, onProgress) =>
        (await client.callTool(
          { name, arguments: args },
          onProgress === undefined ? options : { ...options, onprogress: onProgress },
        )) as McpToolResult,
    });
  } catch (error) {
    if (clock.over.aborted && !connection.signal.aborted) throw tooLate(connection, error);
    throw translated(error, connection);
  } finally {
    await client.close().catch(() => {}); // the answer is here or an error is on its way; the connection ends either way
  }
}

/** What the CLI asks of a server. */
export interface McpSession {
  /** What the server says of itself; lists that it does not declare are left out. */
  describe(): Promise<McpDescription>;
  listTools(): Promise<readonly McpTool[]>;
  callTool(
    name: string,
    args: Record<string, unknown>,
    onProgress?: (progress: CallProgress) => void,
  ): Promise<McpToolResult>;
}

export interface McpTool {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema: {
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly required?: readonly string[];
  };
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** A server in its own words. */
export interface McpDescription {
  readonly info: { readonly name: string; readonly version: string; readonly title?: string | undefined } | undefined;
  readonly instructions: string | undefined;
  readonly protocol: { readonly negotiated: string | undefined; readonly supported: readonly string[] };
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly tools?: readonly McpTool[];
  readonly prompts?: readonly { readonly name: string; readonly description?: string | undefined }[];
  readonly resources?: readonly {
    readonly uri: string;
    readonly name: string;
    readonly description?: string | undefined;
  }[];
  readonly templates?: readonly {
    readonly uriTemplate: string;
    readonly name: string;
    readonly description?: string | undefined;
  }[];
}

async function described(client: Client, options: { timeout: number; signal: AbortSignal }): Promise<McpDescription> {
  const capabilities = client.getServerCapabilities() ?? {};
  const negotiated = client.getNegotiatedProtocolVersion();
  const supported = client.getDiscoverResult()?.supportedVersions ?? (negotiated === undefined ? [] : [negotiated]);
  const tools = capabilities.tools && ((await client.listTools({}, options)).tools as readonly McpTool[]);
  const prompts = capabilities.prompts && (await client.listPrompts({}, options)).prompts;
  const resources = capabilities.resources && (await client.listResources({}, options)).resources;
  const templates = capabilities.resources && (await templatesOf(client, options));
  return {
    info: client.getServerVersion(),
    instructions: client.getInstructions(),
    protocol: { negotiated, supported },
    capabilities: { ...capabilities },
    ...(tools && { tools }),
    ...(prompts && { prompts }),
    ...(resources && { resources }),
    ...(templates && { templates }),
  };
}

/** Many a server has resources and does not know the question for templates. */
async function templatesOf(client: Client, options: { timeout: number; signal: AbortSignal }) {
  try {
    return (await client.listResourceTemplates({}, options)).resourceTemplates;
  } catch (error) {
    if (error instanceof ProtocolError && error.code === -32_601) return undefined;
    throw error;
  }
}

/** One part of what a tool returned (MCP 2025-11-25, tools: tool result). */
export interface McpContent {
  readonly type: string;
  readonly text?: string;
  readonly data?: string;
  readonly mimeType?: string;
  readonly uri?: string;
  readonly resource?: { readonly uri: string; readonly text?: string; readonly mimeType?: string };
}

export interface McpToolResult {
  readonly content?: readonly McpContent[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

function translated(error: unknown, connection: McpConnection): AppError {
  if (error instanceof AppError) return error;
  if (connection.signal.aborted) return new CancelledError('Interrupted', { cause: error });
  const details: ErrorDetails = { cause: error };
  if (error instanceof UnauthorizedError)
    return new UnauthenticatedError('The server did not accept the token', details);
  if (error instanceof InsufficientScopeError) return forbidden(error.message, details);
  if (error instanceof SdkHttpError) return fromHttp(error, details);
  if (error instanceof ProtocolError) return fromProtocol(error);
  if (error instanceof SdkError && /timeout|timed out/i.test(`${error.code} ${error.message}`)) {
    return tooLate(connection, error);
  }
  if (isNetworkError(error)) {
    const { origin } = new URL(connection.url);
    return new ApiUnavailableError(`The API at ${origin} can't be reached`, {
      ...details,
      next: ['infra services status', 'infra services logs api'],
    });
  }
  return new UpstreamFailedError(error instanceof Error ? error.message : String(error), details);
}

function tooLate({ timeoutMs }: McpConnection, cause: unknown): TimeoutError {
  return new TimeoutError(`The server did not answer within ${timeoutMs} ms`, {
    cause,
    hint: 'The call may still be running; the audit tells how it ended',
    next: ['admin audit list --limit 5'],
  });
}

function fromHttp(error: SdkHttpError, details: ErrorDetails): AppError {
  const failure = rpcErrorIn(error);
  // Its own message is that document as it came; as the cause it would be told a second time, and raw.
  if (failure !== undefined) return fromRpc(failure, {});
  const message = problemIn(error) ?? error.message;
  if (error.status === 401) return new UnauthenticatedError(message, details);
  if (error.status === 403) return forbidden(message, details);
  if (error.status === 404) return new NotFoundError(message, { ...details, next: ['plugins mcp list'] });
  if (error.status === 502 || error.status === 503) {
    return new ApiUnavailableError(message, { ...details, next: ['infra services status'] });
  }
  return new UpstreamFailedError(message, details);
}

function fromProtocol(error: ProtocolError): AppError {
  const data = typeof error.data === 'object' && error.data !== null ? error.data : {};
  const details = { data: { json_rpc_code: error.code, ...data } };
  // JSON-RPC 2.0, section 5.1: -32601 method not found, -32602 invalid params (an unknown tool is one, MCP 2025-11-25).
  if (error.code === -32_602 && /unknown tool|tool .*not found/i.test(error.message)) {
    return new NotFoundError(error.message, details);
  }
  return fromRpc({ code: error.code, message: error.message, data: error.data }, { cause: error });
}

/** The `error` of a JSON-RPC response (JSON-RPC 2.0, section 5.1). */
interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data: unknown;
}

/**
 * The router says by `data.code` what went wrong, in our own codes. What to do next is ours to say: a hint in there may
 * be that of a server that somebody else wrote.
 */
function fromRpc({ code, message, data }: RpcError, details: ErrorDetails): AppError {
  const facts = typeof data === 'object' && data !== null ? data : {};
  const word = 'code' in facts && typeof facts.code === 'string' ? facts.code : '';
  const known = errorClass(word) ?? UpstreamFailedError;
  const next = known === NotFoundError ? ['plugins mcp list'] : afterFailure;
  return new known(message, { ...details, next, data: { json_rpc_code: code, ...facts } });
}

const afterFailure = ['plugins mcp status', 'admin audit list --limit 5'];

/** A JSON-RPC error that an HTTP error carries as text. */
function rpcErrorIn(error: SdkHttpError): RpcError | undefined {
  const document = documentIn(error);
  if (document === undefined || !('jsonrpc' in document) || !('error' in document)) return undefined;
  const { error: failure } = document;
  if (typeof failure !== 'object' || failure === null || !('message' in failure)) return undefined;
  const { message } = failure;
  if (typeof message !== 'string') return undefined;
  const code = 'code' in failure && typeof failure.code === 'number' ? failure.code : 0;
  return { code, message, data: 'data' in failure ? failure.data : undefined };
}

function forbidden(message: string, details: ErrorDetails): ForbiddenError {
  return new ForbiddenError(message, { ...details, hint: 'Sign in with the scope that the server asks for' });
}

/** The `detail` or `title` of a problem document (RFC 9457) that an HTTP error carries as text. */
function problemIn(error: SdkHttpError): string | undefined {
  const problem = documentIn(error);
  if (problem === undefined) return undefined;
  if ('detail' in problem && typeof problem.detail === 'string') return problem.detail;
  return 'title' in problem && typeof problem.title === 'string' ? problem.title : undefined;
}

/** The JSON object that an HTTP error carries, as `data.text` or at the end of its message. */
function documentIn(error: SdkHttpError): object | undefined {
  const data: unknown = error.data;
  const carried = typeof data === 'object' && data !== null && 'text' in data ? data.text : undefined;
  const text = typeof carried === 'string' ? carried : error.message;
  const start = text.indexOf('{');
  if (start === -1) return undefined;
  try {
    const document: unknown = JSON.parse(text.slice(start));
    return typeof document === 'object' && document !== null ? document : undefined;
  } catch {
    return undefined; // no document: the error's own message stands
  }
}

function isNetworkError(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ('code' in cause && /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EPIPE|UND_ERR_\w+)$/.test(String(cause.code)))
      return true;
    if (cause instanceof AggregateError && cause.errors.some(isNetworkError)) return true;
  }
  return false;
}
