import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { IntentRow, OutcomeRow } from '../../domain/governance/index.ts';
import { inSpan, type RemoteSpan, type Span, type SpanAttributes, type Tracer } from '../../shared/tracing.ts';
import type { ExecutorOptions } from '../executor/executor.ts';
import type { PolicyRecord, ToolPolicy } from '../executor/policy.ts';
import type { Exchange } from './exchange.ts';
import { sessionOf } from './headers.ts';
import type { Message } from './jsonrpc.ts';
import { adoptTrace, headerTrace } from './trace-of.ts';
import { type RequestFor, type Upstream, Upstreams } from './upstreams.ts';

type Traced = { readonly kind: 'call' | 'request' | 'notification' } & Message;

/** One request on its way through the router. */
interface Journey {
  readonly span: Span;
  readonly name: string;
  readonly attributes: SpanAttributes;
  /** What the body names as its trace, which the server would read before the headers. */
  readonly inBody: RemoteSpan | undefined;
  readonly sendings: Sending[];
}

const postgres = { 'db.system.name': 'postgresql', 'db.operation.name': 'INSERT' } as const;

/**
 * The spans of an API process, by the semantic conventions for MCP
 * (https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md): the request, what rules and
 * hooks take of its time, the commits of the audit and the way to the server. Wraps what the router is made of; without it
 * nothing of this is in the path of a call.
 */
export class RouterTracing {
  readonly #tracer: Tracer;
  readonly #journeys = new AsyncLocalStorage<Journey>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Runs a request as a span, child of the client's: who has shown a token may say of which trace its request is. */
  async request(exchange: Exchange, message: Traced, work: () => Promise<void> | void): Promise<void> {
    const { req, res, arrivedAt } = exchange;
    const inBody = message.kind === 'notification' ? undefined : message.trace;
    const inHeader = headerTrace(req);
    const parent = inBody ?? inHeader;
    const other = inBody !== undefined && inHeader !== undefined && inHeader.traceparent !== inBody.traceparent;
    const { name, attributes } = described(exchange, message);
    const span = this.#tracer.start(name, {
      kind: 'server',
      parent,
      attributes: { ...attributes, 'user.id': exchange.claims.sub, 'systemprompt.client': exchange.claims.client },
      startedAt: arrivedAt,
      ...(other ? { links: [inHeader] } : {}),
    });
    adoptTrace(req, span);
    const journey: Journey = { span, name, attributes, inBody, sendings: [] };
    try {
      await this.#tracer.run(span, () => this.#journeys.run(journey, work));
      if (message.kind !== 'call' && res.statusCode >= 400) span.fail(String(res.statusCode));
    } finally {
      for (const sending of journey.sendings) sending.end();
      span.end();
    }
  }

  /** Hears how a call ended. */
  ended(reason: string): void {
    const journey = this.#journeys.getStore();
    if (journey === undefined || reason === 'none') return;
    const type = reason === 'TOOL_ERROR' ? 'tool_error' : reason;
    journey.span.fail(type);
    const last = journey.sendings.at(-1);
    if (reason === 'TOOL_ERROR' || reason === 'ANSWER_FAILED') last?.failed(type, journey.span);
  }

  /** The audit with a span for each row that is waited for. */
  audit(audit: ExecutorOptions['audit']): ExecutorOptions['audit'] {
    const commit = (table: string, row: Pick<IntentRow | OutcomeRow, 'executionId'>, work: () => Promise<void>) => {
      this.#journeys.getStore()?.span.set({ 'systemprompt.execution.id': row.executionId });
      const attributes = { ...postgres, 'db.collection.name': table };
      return inSpan(this.#tracer, `INSERT ${table}`, { kind: 'client', attributes }, work);
    };
    return {
      intent: (row) => commit('audit.tool_intents', row, () => audit.intent(row)),
      attempt: (row, outcome) => commit('audit.tool_intents', row, () => audit.attempt(row, outcome)),
      outcome: (row) => commit('audit.tool_outcomes', row, () => audit.outcome(row)),
    };
  }

  /** The rules and hooks with a span for each time that they are asked. */
  policy(policy: ToolPolicy): ToolPolicy {
    const asked = async <T extends { readonly record: PolicyRecord; readonly refusal?: unknown }>(
      event: string,
      work: () => Promise<T>,
    ): Promise<T> =>
      inSpan(this.#tracer, `policy ${event}`, {}, async (span) => {
        const answer = await work();
        span.set({ 'systemprompt.policy.said': answer.record.said.map(({ by, verdict }) => `${by}: ${verdict}`) });
        if (answer.refusal !== undefined) span.set({ 'systemprompt.policy.refused': true });
        return answer;
      });
    return {
      denies: (...args) => policy.denies(...args),
      watch: (...args) => {
        const watch = policy.watch(...args);
        if (watch === undefined) return undefined;
        const { after, during } = watch;
        return {
          // Many a message passes before an answer: they are looked at, but are no spans.
          during,
          before: (...told) => asked('before', () => watch.before(...told)),
          after: after && ((...told) => asked('after', () => after(...told))),
        };
      },
    };
  }

  /** A request that goes to a server in the course of one that came, if it does. */
  sending(server: string): Sending | undefined {
    const journey = this.#journeys.getStore();
    if (journey === undefined) return undefined;
    const attributes = { ...journey.attributes, 'systemprompt.mcp.server': server };
    const span = this.#tracer.start(journey.name, { kind: 'client', attributes });
    const sending = new Sending(span, journey.inBody);
    journey.sendings.push(sending);
    return sending;
  }
}

/** The ways to the servers, each request a span. */
export class TracedUpstreams extends Upstreams {
  readonly #tracing: RouterTracing;

  constructor(tracing: RouterTracing, ...rest: ConstructorParameters<typeof Upstreams>) {
    super(...rest);
    this.#tracing = tracing;
  }

  override send(server: string, request: RequestFor, handler: Dispatcher.DispatchHandler, tries = 1): void {
    const sending = tries === 1 ? this.#tracing.sending(server) : undefined;
    if (sending === undefined) super.send(server, request, handler, tries);
    else super.send(server, (upstream: Upstream) => sending.request(request(upstream)), sending.hear(handler), tries);
  }
}

/** The way of one request to a server and back. */
class Sending {
  readonly #span: Span;
  readonly #inBody: RemoteSpan | undefined;
  /** The beginning of the answer, for the code of an error in it. */
  #head: Buffer | undefined;
  #endedAt: number | undefined;

  constructor(span: Span, inBody: RemoteSpan | undefined) {
    this.#span = span;
    this.#inBody = inBody;
  }

  /** The same request, of this span. */
  request(options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions {
    const headers = withoutTrace(options.headers as readonly string[]);
    const { traceparent, tracestate } = this.#span;
    headers.push('traceparent', traceparent, ...(tracestate === undefined ? [] : ['tracestate', tracestate]));
    const { body } = options;
    const given = this.#inBody?.traceparent;
    const own = given !== undefined && Buffer.isBuffer(body) ? renamed(body, given, traceparent) : body;
    return { ...options, headers, ...(own === undefined ? {} : { body: own }) };
  }

  hear(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
    return {
      onRequestStart: (...args) => handler.onRequestStart?.(...args),
      onResponseStart: (controller, status, headers, text) => {
        if (status >= 400) this.#span.set({ 'http.response.status_code': status });
        handler.onResponseStart?.(controller, status, headers, text);
      },
      onResponseData: (controller, chunk) => {
        this.#head ??= chunk;
        handler.onResponseData?.(controller, chunk);
      },
      onResponseEnd: (...args) => {
        this.#endedAt = performance.now();
        handler.onResponseEnd?.(...args);
      },
      onResponseError: (controller, error) => {
        this.#endedAt = performance.now();
        this.#span.fail('code' in error && typeof error.code === 'string' ? error.code : error.name);
        handler.onResponseError?.(controller, error);
      },
    };
  }

  /** The server's answer was an error, of the tool or of the protocol. */
  failed(type: string, request: Span): void {
    const code = type === 'tool_error' ? undefined : codeIn(this.#head);
    this.#span.fail(code ?? type);
    if (code === undefined) return;
    for (const span of [this.#span, request]) span.set({ 'rpc.response.status_code': code });
  }

  end(): void {
    this.#span.end(this.#endedAt);
  }
}

function described(exchange: Exchange, message: Traced): { name: string; attributes: SpanAttributes } {
  const { req, route, via } = exchange;
  const method = message.kind === 'call' ? 'tools/call' : cut(message.method);
  const session = sessionOf(req);
  const version = req.headers['mcp-protocol-version'];
  const tool = message.kind === 'call' ? cut(message.tool) : undefined;
  return {
    name: tool === undefined ? method : `${method} ${tool}`,
    attributes: {
      'mcp.method.name': method,
      ...(tool === undefined ? {} : { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': tool }),
      ...(message.kind === 'notification' ? {} : { 'jsonrpc.request.id': cut(String(message.id)) }),
      ...(typeof version === 'string' ? { 'mcp.protocol.version': cut(version) } : {}),
      // Whoever reads spans must not come by what opens a session.
      ...(session === undefined
        ? {}
        : { 'mcp.session.id': createHash('sha256').update(session).digest('hex').slice(0, 32) }),
      'network.transport': 'tcp',
      'network.protocol.name': 'http',
      'network.protocol.version': req.httpVersion,
      'systemprompt.mcp.server': via?.server ?? route.config.name,
    },
  };
}

/** What a client calls things is as long as it likes. */
function cut(text: string): string {
  return text.slice(0, 128);
}

function withoutTrace(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name !== 'traceparent' && name !== 'tracestate') kept.push(name, headers[at + 1] as string);
  }
  return kept;
}

/**
 * The body with another span for the client's, which is as long. Where that text stands twice it may be an argument: then
 * the body stays as it came, and the server's span is a child of the client's.
 */
function renamed(body: Buffer, given: string, own: string): Buffer {
  const at = body.indexOf(`"${given}"`);
  if (at === -1 || given.length !== own.length || body.indexOf(`"${given}"`, at + 1) !== -1) return body;
  const changed = Buffer.from(body);
  changed.write(own, at + 1, 'latin1');
  return changed;
}

/** Of a JSON-RPC error, as servers write one. */
function codeIn(head: Buffer | undefined): string | undefined {
  const text = head?.subarray(0, 65_536).toString('latin1') ?? '';
  return /"error":\s*\{[^{}]*?"code":\s*(-?\d{1,9})/.exec(text)?.[1];
}
