import {
  createMcpHandler,
  type McpHttpHandler,
  type McpRequestContext,
  McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { CliRunner } from '../../lib/app/cli-runner.ts';
import { inCall } from '../../lib/infra/logging/call-facts.ts';
import type { KnownSecrets } from '../../lib/infra/logging/known-secrets.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { InternalError } from '../../lib/shared/errors.ts';
import type { McpServerDefinition, ToolDefinition } from '../../lib/shared/mcp-server.ts';
import type { RunningCalls } from './calls.ts';
import { type Caller, contextFor, factsOf } from './context.ts';
import type { McpEnvironment } from './env.ts';
import { failureOf, failureResult, isRaisedOnPurpose, successResult, withoutSecrets } from './result.ts';
import { guardArguments } from './secret-arguments.ts';

export interface ProtocolDeps {
  readonly definition: McpServerDefinition;
  readonly environment: McpEnvironment;
  readonly calls: RunningCalls;
  readonly cli: CliRunner;
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
  readonly maxBodyBytes: number;
}

/**
 * Serves a definition over Streamable HTTP, every revision of MCP from 2024-11-05 to 2026-07-28, without sessions: each
 * request gets a protocol server of its own, so any request may go to any process that runs the same extension.
 */
export function createProtocolHandler(deps: ProtocolDeps): McpHttpHandler {
  return createMcpHandler((request) => serverFor(request, deps), {
    maxRequestBodySize: deps.maxBodyBytes,
    onerror: (error) => deps.logger.debug({ reason: error.message }, 'request refused'),
  });
}

function serverFor(request: McpRequestContext, deps: ProtocolDeps): McpServer {
  const { name, title, version, description, instructions, tools } = deps.definition;
  const server = new McpServer(
    { name, version, description, ...(title === undefined ? {} : { title }) },
    {
      // The tools of a process never change, so nobody is promised word of it.
      capabilities: { tools: { listChanged: false } },
      ...(instructions === undefined ? {} : { instructions }),
    },
  );
  for (const tool of tools) registerTool(server, tool, deps);
  const caller = callerOf(request.authInfo?.extra);
  const mcpSession = request.requestInfo?.headers.get('mcp-session-id') ?? undefined;
  server.server.setNotificationHandler('notifications/cancelled', (notification) => {
    const { requestId } = notification.params;
    if (requestId !== undefined) deps.calls.cancel({ identity: caller.identity, mcpSession, requestId });
  });
  return server;
}

function registerTool(server: McpServer, tool: ToolDefinition, deps: ProtocolDeps): void {
  const { name, title, description, annotations } = tool;
  server.registerTool(
    name,
    {
      description,
      annotations,
      inputSchema: standardSchema(tool.inputSchema, (value) => tool.input['~standard'].validate(value)),
      // The output was checked by callTool already.
      outputSchema: standardSchema(tool.outputSchema, (value) => ({ value })),
      ...(title === undefined ? {} : { title }),
    },
    (input, protocol) => callTool(tool, input, protocol, deps),
  );
}

const noNames: ReadonlySet<string> = new Set();

async function callTool(tool: ToolDefinition, input: unknown, protocol: ServerContext, deps: ProtocolDeps) {
  const caller = callerOf(protocol.http?.authInfo?.extra);
  const mcpSession = protocol.http?.req?.headers.get('mcp-session-id') ?? undefined;
  const key = { identity: caller.identity, mcpSession, requestId: protocol.mcpReq.id };
  return await deps.calls.run(key, [caller.gone, protocol.mcpReq.signal], async (signal) => {
    const context = contextFor({ tool, caller, signal, protocol, deps });
    const { executionId } = context.request;
    const secretNames = deps.environment.secretArguments.get(tool.name) ?? noNames;
    const guarded = guardArguments(deps.secrets, input, secretNames);
    const facts = factsOf(tool, executionId, protocol);
    try {
      const output = await inCall(facts, () => tool.handler(input, context));
      return successResult(await checkedOutput(tool, output), executionId);
    } catch (error) {
      logFailure(deps.logger.child(facts), error, signal.aborted);
      const failure = failureOf(error, signal.aborted, executionId);
      return failureResult(withoutSecrets(failure, guarded.blank), executionId);
    } finally {
      guarded.forget();
    }
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

/** The one who http.ts let in; it is put there for every request. */
function callerOf(extra: Record<string, unknown> | undefined): Caller {
  const caller = extra?.['caller'] as Caller | undefined;
  if (caller === undefined) throw new InternalError('A request reached the protocol without an identity');
  return caller;
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
