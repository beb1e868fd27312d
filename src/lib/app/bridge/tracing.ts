import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Span, Tracer } from '../../shared/tracing.ts';
import { isRecord } from '../router/jsonrpc.ts';
import { adoptTrace, headerTrace } from '../router/trace-of.ts';
import type { Asker, Backend, BackendFactory, Hearer } from './backend.ts';
import { JsonRpcMessage } from './message.ts';

/** By what the server behind is reached (`network.transport`). */
export type Transport = 'pipe' | 'tcp';

/** A request that came to the bridge as a span, child of the router's; it ends with the answer. */
export async function inBridgeSpan(
  tracer: Tracer,
  req: IncomingMessage,
  res: ServerResponse,
  message: JsonRpcMessage,
  work: () => Promise<void>,
): Promise<void> {
  const { name, attributes } = described(message);
  const options = { kind: 'server', parent: headerTrace(req), attributes } as const;
  const span = tracer.start(name, { ...options, attributes: { ...attributes, 'network.transport': 'tcp' } });
  adoptTrace(req, span);
  res.once('close', () => span.end());
  await tracer.run(span, work);
}

/** Makes instances whose every request is a span, which the server behind is told of: in `_meta`, and by HTTP in the headers. */
export function tracedFactory(factory: BackendFactory, tracer: Tracer, transport: Transport): BackendFactory {
  return {
    open: async (scope, opening, listener) => traced(await factory.open(scope, opening, listener), tracer, transport),
  };
}

function traced(backend: Backend, tracer: Tracer, transport: Transport): Backend {
  const start = (message: JsonRpcMessage | undefined, asker: Asker): Span => {
    const { name, attributes } = message === undefined ? { name: 'http', attributes: {} } : described(message);
    const parent = headerTrace({ headers: asker.headers });
    return tracer.start(name, {
      kind: 'client',
      parent,
      attributes: { ...attributes, 'network.transport': transport },
    });
  };
  const { relay, other } = backend;
  return {
    get era() {
      return backend.era;
    },
    get initialized() {
      return backend.initialized;
    },
    ...(backend.relaysSingle === undefined ? {} : { relaysSingle: backend.relaysSingle }),
    ...(other === undefined ? {} : { other: traced(other, tracer, transport) }),
    ...(relay === undefined
      ? {}
      : {
          relay: async (exchange) => {
            if (exchange.body === undefined) return await relay.call(backend, exchange);
            const span = start(JsonRpcMessage.parse(exchange.body.toString('utf8')), exchange.asker);
            adoptTrace(exchange.req, span);
            try {
              await relay.call(backend, exchange);
            } finally {
              if (exchange.res.statusCode >= 400) span.fail(String(exchange.res.statusCode));
              span.end();
            }
          },
        }),
    request: (request, asker, hearer) => {
      const span = start(request, asker);
      const { traceparent, tracestate } = span;
      const headers = { ...asker.headers, traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
      const pending = backend.request(named(request, span), { ...asker, headers }, hearing(hearer, span));
      return {
        cancel: (reason) => {
          span.fail('CANCELLED');
          span.end();
          pending.cancel(reason);
        },
      };
    },
    notify: (...args) => backend.notify(...args),
    respond: (...args) => backend.respond(...args),
    forget: (session) => backend.forget?.(session),
    close: () => backend.close(),
  };
}

function hearing(hearer: Hearer, span: Span): Hearer {
  return {
    onMessage: (message) => hearer.onMessage(message),
    onAnswer: (answer) => {
      const { error, result } = answer.value;
      if (isRecord(error)) {
        const code = String(error['code']);
        span.set({ 'rpc.response.status_code': code });
        span.fail(code);
      } else if (isRecord(result) && result['isError'] === true) span.fail('tool_error');
      span.end();
      hearer.onAnswer(answer);
    },
  };
}

function described({ method, id, params }: JsonRpcMessage) {
  const tool = method === 'tools/call' && typeof params['name'] === 'string' ? params['name'].slice(0, 128) : undefined;
  const named = method.slice(0, 128);
  return {
    name: tool === undefined ? named : `${named} ${tool}`,
    attributes: {
      'mcp.method.name': named,
      ...(tool === undefined ? {} : { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': tool }),
      ...(id === undefined || id === null ? {} : { 'jsonrpc.request.id': String(id).slice(0, 128) }),
    },
  };
}

/** Where everything before `params` is what it looks like, and so is where `params` begins. */
const paramsAt = /^\{(?:"(?:jsonrpc|id|method)":(?:"[^"\\]*"|-?\d+),)*"params":\{(?=")/;

/** The request with the span in `_meta` (MCP 2026-07-28, SEP-414). The text is cut and joined where that can be done. */
function named(request: JsonRpcMessage, { traceparent, tracestate }: Span): JsonRpcMessage {
  const trace = { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
  const { params } = request;
  const meta = params['_meta'];
  if (meta === undefined) {
    const at = paramsAt.exec(request.text)?.[0].length;
    const text = request.text;
    const spliced =
      at === undefined ? undefined : `${text.slice(0, at)}"_meta":${JSON.stringify(trace)},${text.slice(at)}`;
    const own = spliced === undefined ? undefined : JsonRpcMessage.parse(spliced);
    if (own !== undefined) return own;
  }
  return request.withParams({ ...params, _meta: { ...(isRecord(meta) ? meta : {}), ...trace } });
}
