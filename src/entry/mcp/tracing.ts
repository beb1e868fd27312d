import type { ServerContext } from '@modelcontextprotocol/server';
import { traceIdOf } from '../../lib/infra/logging/call-facts.ts';
import type { ExecutionId } from '../../lib/shared/ids.ts';
import type { RequestContext, ServerDatabase, ServerStatements } from '../../lib/shared/mcp/context.ts';
import { inSpan, type Tracer } from '../../lib/shared/tracing.ts';

/** Work on a request as a span, child of the router's. @param tool its name, when it is a tool's call */
export async function inRequestSpan<T>(
  tracer: Tracer | undefined,
  { mcpReq, http }: ServerContext,
  { execution, tool }: { readonly execution: ExecutionId; readonly tool?: string },
  work: () => Promise<T>,
): Promise<T> {
  if (tracer === undefined) return await work();
  const { method, id } = mcpReq;
  const headers = http?.req?.headers;
  const traceparent = headers?.get('traceparent') ?? undefined;
  const tracestate = headers?.get('tracestate') ?? undefined;
  const version = headers?.get('mcp-protocol-version') ?? undefined;
  const options = {
    kind: 'server',
    parent: traceparent === undefined || traceIdOf(traceparent) === undefined ? undefined : { traceparent, tracestate },
    attributes: {
      'mcp.method.name': method,
      ...(tool === undefined ? {} : { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': tool }),
      'jsonrpc.request.id': String(id).slice(0, 128),
      ...(version === undefined ? {} : { 'mcp.protocol.version': version }),
      'network.transport': 'tcp',
      'systemprompt.execution.id': execution,
    },
  } as const;
  return await inSpan(tracer, tool === undefined ? method : `${method} ${tool}`, options, async (span) => {
    const result = await work();
    if ((result as { readonly isError?: unknown } | undefined)?.isError === true) span.fail('tool_error');
    return result;
  });
}

/** `span` of the request context. */
export function spans(tracer: Tracer | undefined): RequestContext['span'] {
  if (tracer === undefined) return async (_, work) => await work({ traceparent: undefined, set: () => undefined });
  return (name, work, attributes) =>
    inSpan(tracer, name, attributes === undefined ? {} : { attributes }, async (span) =>
      work({ traceparent: span.traceparent, set: (more) => span.set(more) }),
    );
}

/** The server's database with a span for each statement: what it does, never with what. */
export function tracedDatabase(database: ServerDatabase, tracer: Tracer): ServerDatabase {
  const traced = (on: ServerStatements): ServerStatements => ({
    query: (sql, params) => {
      const operation = /^\s*([a-z]{1,20})/i.exec(sql)?.[1]?.toUpperCase() ?? 'query';
      const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': operation };
      return inSpan(tracer, operation, { kind: 'client', attributes }, () => on.query(sql, params));
    },
  });
  return {
    ...traced(database),
    transaction: (work) =>
      inSpan(tracer, 'transaction', { attributes: { 'db.system.name': 'postgresql' } }, () =>
        database.transaction((tx) => work(traced(tx))),
      ),
  };
}
