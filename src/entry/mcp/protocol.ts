import { createHmac } from 'node:crypto';
import {
  createMcpHandler,
  createRequestStateCodec,
  type McpHttpHandler,
  type McpRequestContext,
  McpServer,
  type RequestStateCodec,
  type ServerContext,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server';
import { inCall } from '../../lib/infra/logging/call-facts.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { InternalError } from '../../lib/shared/errors.ts';
import { type ExecutionId, newId } from '../../lib/shared/ids.ts';
import { uiExtension } from '../../lib/shared/mcp/resource.ts';
import type { ToolDefinition } from '../../lib/shared/mcp/tool.ts';
import { ClientQuestions } from './client-questions.ts';
import { completes, serveCompletions } from './completions.ts';
import { callerOf, factsOf, toolContext } from './context.ts';
import type { ProtocolDeps } from './deps.ts';
import { servePrompts } from './prompts.ts';
import { type AskedBefore, Questions } from './questions.ts';
import { serveResources } from './resources.ts';
import {
  failureOf,
  failureResult,
  isRaisedOnPurpose,
  pagesWithoutSecrets,
  successResult,
  withoutSecrets,
} from './result.ts';
import { guardArguments } from './secret-arguments.ts';
import { inRequestSpan } from './tracing.ts';

/** What the questions of calls need beyond one request. */
interface Rounds {
  readonly codec: RequestStateCodec<AskedBefore>;
  readonly questions: ClientQuestions;
}

/**
 * Serves a definition over Streamable HTTP, every revision of MCP from 2024-11-05 to 2026-07-28, without sessions: each
 * request gets a protocol server of its own, so any request may go to any process that runs the same extension.
 */
export function createProtocolHandler(deps: ProtocolDeps): McpHttpHandler {
  const rounds: Rounds = { codec: stateCodec(deps.environment.identityKey), questions: new ClientQuestions() };
  const handler = createMcpHandler((request) => serverFor(request, deps, rounds), {
    maxRequestBodySize: deps.maxBodyBytes,
    onerror: (error) => deps.logger.debug({ reason: error.message }, 'request refused'),
  });
  const fetch: McpHttpHandler['fetch'] = async (request, options) => {
    if (request.method !== 'POST' || rounds.questions.size === 0) return await handler.fetch(request, options);
    // Somebody is being asked: this may be the answer, which nobody but us would know what to do with.
    const { identity } = callerOf(options?.authInfo?.extra);
    const message: unknown = await request
      .clone()
      .json()
      .catch(() => undefined); // no JSON: the protocol says so
    if (rounds.questions.answer(identity, message)) return new Response(undefined, { status: 202 });
    return await handler.fetch(request, options);
  };
  return { ...handler, fetch, close: () => handler.close() };
}

/** Signs what a client carries between the rounds of a call; bound to the user, the sign-in and this run of the process. */
function stateCodec(identityKey: Uint8Array): RequestStateCodec<AskedBefore> {
  const key = new Uint8Array(createHmac('sha256', identityKey).update('request state of tool calls').digest());
  const bind = ({ mcpReq, http }: ServerContext): string => {
    const { identity } = callerOf(http?.authInfo?.extra);
    return JSON.stringify([mcpReq.method, identity.sub, identity.sid]);
  };
  return createRequestStateCodec<AskedBefore>({ key, bind, ttlSeconds: 600 });
}

function serverFor(request: McpRequestContext, deps: ProtocolDeps, rounds: Rounds): McpServer {
  const { definition } = deps;
  const { name, title, version, description, instructions, tools } = definition;
  const { prompts = [], resources = [], resourceTemplates = [] } = definition;
  const hasResources = resources.length + resourceTemplates.length > 0;
  const server = new McpServer(
    { name, version, description, ...(title === undefined ? {} : { title }) },
    {
      // What a process offers never changes, so nobody is promised word of it.
      capabilities: {
        ...(tools.length > 0 ? { tools: { listChanged: false } } : {}),
        ...(prompts.length > 0 ? { prompts: { listChanged: false } } : {}),
        ...(hasResources ? { resources: { listChanged: false } } : {}),
        ...(completes(definition) ? { completions: {} } : {}),
        ...(tools.some(({ ui }) => ui !== undefined) ? { extensions: { [uiExtension]: {} } } : {}),
      },
      requestState: { verify: rounds.codec.verify },
      ...(instructions === undefined ? {} : { instructions }),
    },
  );
  for (const tool of tools) registerTool(server, tool, deps, { era: request.era, rounds });
  if (prompts.length > 0) servePrompts(server, prompts, deps);
  if (hasResources) serveResources(server, resources, resourceTemplates, deps);
  if (completes(definition)) serveCompletions(server, deps);
  const caller = callerOf(request.authInfo?.extra);
  const mcpSession = request.requestInfo?.headers.get('mcp-session-id') ?? undefined;
  server.server.setNotificationHandler('notifications/cancelled', (notification) => {
    const { requestId } = notification.params;
    if (requestId !== undefined) deps.calls.cancel({ identity: caller.identity, mcpSession, requestId });
  });
  return server;
}

interface Round {
  readonly era: McpRequestContext['era'];
  readonly rounds: Rounds;
}

function registerTool(server: McpServer, tool: ToolDefinition, deps: ProtocolDeps, round: Round): void {
  const { name, title, description, annotations, ui } = tool;
  server.registerTool(
    name,
    {
      description,
      annotations,
      inputSchema: standardSchema(tool.inputSchema, (value) => tool.input['~standard'].validate(value)),
      // The output was checked by callTool already.
      outputSchema: standardSchema(tool.outputSchema, (value) => ({ value })),
      ...(title === undefined ? {} : { title }),
      // Hosts look for either: the second is that of the drafts.
      ...(ui === undefined ? {} : { _meta: { ui: { resourceUri: ui.uri }, 'ui/resourceUri': ui.uri } }),
    },
    (input, protocol) => callTool(server, tool, input, protocol, deps, round),
  );
}

const noNames: ReadonlySet<string> = new Set();

async function callTool(
  server: McpServer,
  tool: ToolDefinition,
  input: unknown,
  protocol: ServerContext,
  deps: ProtocolDeps,
  { era, rounds }: Round,
) {
  const caller = callerOf(protocol.http?.authInfo?.extra);
  const mcpSession = protocol.http?.req?.headers.get('mcp-session-id') ?? undefined;
  const key = { identity: caller.identity, mcpSession, requestId: protocol.mcpReq.id };
  return await deps.calls.run(key, [caller.gone, protocol.mcpReq.signal], async (signal) => {
    const executionId = caller.identity.exec ?? newId<ExecutionId>();
    const secretNames = deps.environment.secretArguments.get(tool.name) ?? noNames;
    const guarded = guardArguments(deps.secrets, input, secretNames);
    const facts = factsOf(tool.name, executionId, protocol);
    const execution = { execution: executionId, tool: tool.name };
    return await inRequestSpan(deps.tracer, protocol, execution, async () => {
      let questions: Questions | undefined;
      const awaited = () => questions?.awaited((state) => rounds.codec.mint(state, protocol));
      try {
        questions = new Questions({
          tool: tool.name,
          input,
          protocol,
          era,
          ask: (question) =>
            rounds.questions.ask(question, caller.identity, signal, async (message) => {
              await server.server.transport?.send(message as never, { relatedRequestId: protocol.mcpReq.id });
            }),
        });
        const context = toolContext({ subject: tool.name, executionId, caller, signal, protocol, deps }, questions);
        const output = await inCall(facts, () => tool.handler(input, context));
        return (await awaited()) ?? successResult(await checkedOutput(tool, output), executionId);
      } catch (error) {
        const question = await awaited();
        if (question !== undefined) return question;
        if (error instanceof UrlElicitationRequiredError) throw pagesWithoutSecrets(error, guarded.blank);
        logFailure(deps.logger.child(facts), error, signal.aborted);
        const failure = failureOf(error, signal.aborted, executionId);
        return failureResult(withoutSecrets(failure, guarded.blank), executionId);
      } finally {
        guarded.forget();
      }
    });
  });
}

/** A refusal is the caller's to know, and one word here; a fault is ours to look into. */
function logFailure(logger: Logger, error: unknown, cancelled: boolean): void {
  if (isRaisedOnPurpose(error)) logger.info({ code: error.code }, 'tool refused');
  else if (cancelled) logger.info('tool cancelled');
  else logger.error({ err: error }, 'tool failed');
}

async function checkedOutput(tool: ToolDefinition, output: unknown): Promise<Record<string, unknown>> {
  const checked = await tool.output['~standard'].validate(output);
  if (checked.issues === undefined) return checked.value as Record<string, unknown>;
  const findings = checked.issues.map((issue) => `${issue.path?.join('.') ?? ''} ${issue.message}`.trim());
  throw new InternalError(
    `The tool ${tool.name} returned what its output schema does not allow: ${findings.join('; ')}`,
  );
}

type Validated = { readonly value: unknown } | { readonly issues: readonly { readonly message: string }[] };

/** A schema as the SDK takes it (Standard Schema with JSON Schema), with the JSON made beforehand. */
function standardSchema(
  json: Readonly<Record<string, unknown>>,
  validate: (value: unknown) => Validated | Promise<Validated>,
) {
  const give = (): Record<string, unknown> => ({ ...json });
  return {
    '~standard': { version: 1 as const, vendor: 'systemprompt', validate, jsonSchema: { input: give, output: give } },
  };
}
