import { AsyncLocalStorage } from 'node:async_hooks';
import * as api from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { RemoteSpan, Span, SpanAttributes, SpanOptions, Tracer } from '../../shared/tracing.ts';
import type { Logger } from '../logging/logger.ts';

export interface TracerOptions {
  /** Name of the service, `api` or `mcp:files`. */
  readonly service: string;
  /** This run of it. */
  readonly instanceId: string;
  readonly version: string;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** The variables of OpenTelemetry (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). */
  readonly env: NodeJS.ProcessEnv;
}

const closeMs = 2_000;
/** Longest text of an attribute, in characters. */
const textLimit = 512;
const kinds = { internal: api.SpanKind.INTERNAL, server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT } as const;

/**
 * Spans by the official packages, sent in batches by OTLP over HTTP. They are made known to the process too, so that an
 * extension's own instrumentation goes on in the same trace.
 */
export function openTracer(options: TracerOptions): Tracer {
  const { env, log } = options;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': env['OTEL_SERVICE_NAME'] ?? 'systemprompt',
      'service.name': options.service,
      'service.version': options.version,
      'service.instance.id': options.instanceId,
      ...resourceAttributes(env['OTEL_RESOURCE_ATTRIBUTES']),
    }),
    sampler: samplerOf(env),
    spanLimits: { attributeValueLengthLimit: textLimit },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new ToldOnce(new OTLPTraceExporter(), log),
        scheduledDelayMillis: positive(env['OTEL_BSP_SCHEDULE_DELAY'], 5_000),
        maxQueueSize: positive(env['OTEL_BSP_MAX_QUEUE_SIZE'], 2_048),
        maxExportBatchSize: positive(env['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'], 512),
        exportTimeoutMillis: positive(env['OTEL_BSP_EXPORT_TIMEOUT'], 10_000),
      }),
    ],
  });
  api.context.setGlobalContextManager(new AsyncContexts());
  api.trace.setGlobalTracerProvider(provider);
  const tracer = provider.getTracer('systemprompt', options.version);
  return {
    start: (name, spanOptions = {}) => startSpan(tracer, name, spanOptions),
    run: (span, work) => {
      if (!(span instanceof OwnSpan)) return work();
      return api.context.with(api.trace.setSpan(api.context.active(), span.span), work);
    },
    close: async () => {
      await Promise.race([
        provider.shutdown().catch(() => undefined), // said already
        new Promise((resolve) => setTimeout(resolve, closeMs).unref()),
      ]);
    },
  };
}

function startSpan(
  tracer: api.Tracer,
  name: string,
  { kind = 'internal', parent, links = [], attributes, startedAt }: SpanOptions,
): Span {
  const active = api.context.active();
  const remote = parent && contextOf(parent);
  const within = remote === undefined ? active : api.trace.setSpanContext(active, remote);
  const linked = links.flatMap((link) => contextOf(link) ?? []);
  const span = tracer.startSpan(
    name,
    {
      kind: kinds[kind],
      ...(attributes === undefined ? {} : { attributes }),
      ...(linked.length === 0 ? {} : { links: linked.map((context) => ({ context })) }),
      startTime: startedAt ?? performance.now(),
    },
    within,
  );
  return new OwnSpan(span);
}

class OwnSpan implements Span {
  readonly span: api.Span;

  constructor(span: api.Span) {
    this.span = span;
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  get tracestate(): string | undefined {
    return this.span.spanContext().traceState?.serialize();
  }

  set(attributes: SpanAttributes): void {
    this.span.setAttributes(attributes);
  }

  fail(type: string, message?: string): void {
    this.span.setAttribute('error.type', type);
    this.span.setStatus({ code: api.SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) });
  }

  end(at: number = performance.now()): void {
    this.span.end(at);
  }
}

function contextOf({ traceparent, tracestate }: RemoteSpan): api.SpanContext | undefined {
  const [, traceId, spanId, flags] = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  if (!api.isSpanContextValid(context)) return undefined;
  return tracestate === undefined ? context : { ...context, traceState: api.createTraceState(tracestate) };
}

/** Which spans are recorded (`OTEL_TRACES_SAMPLER`). */
function samplerOf(env: NodeJS.ProcessEnv): Sampler {
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
  const part = new TraceIdRatioBasedSampler(ratio >= 0 && ratio <= 1 ? ratio : 1);
  switch (env['OTEL_TRACES_SAMPLER']) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return part;
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: part });
    default:
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
}

function resourceAttributes(text = ''): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('=', 2).map((part) => part.trim()));
  return Object.fromEntries(pairs.filter(([name, value]) => name && value) as [string, string][]);
}

function positive(text: string | undefined, otherwise: number): number {
  const number = Number(text);
  return number > 0 ? number : otherwise;
}

/** The context that runs, over everything that is waited for. */
class AsyncContexts implements api.ContextManager {
  readonly #storage = new AsyncLocalStorage<api.Context>();

  active(): api.Context {
    return this.#storage.getStore() ?? api.ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: api.Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(context, () => work.call(self, ...args));
  }

  bind<T>(context: api.Context, target: T): T {
    if (typeof target !== 'function') return target;
    const bound = (...args: unknown[]): unknown => this.#storage.run(context, () => target(...args) as unknown);
    return bound as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

/** Says once that spans don't get through, and once that they do again: a line for every batch would fill the log. */
class ToldOnce implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: TracerOptions['log'];
  #failing = false;

  constructor(exporter: SpanExporter, log: TracerOptions['log']) {
    this.#exporter = exporter;
    this.#log = log;
  }

  export(...[spans, done]: Parameters<SpanExporter['export']>): void {
    this.#exporter.export(spans, (result) => {
      const failing = result.error !== undefined || result.code !== 0;
      if (failing && !this.#failing) this.#log.warn({ reason: result.error?.message }, 'Spans do not get through');
      else if (!failing && this.#failing) this.#log.info('Spans get through again');
      this.#failing = failing;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }
}
