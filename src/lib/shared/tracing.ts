/** What a span says of itself: names, numbers and states; never arguments, results or secrets. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | string[] | undefined>>;

/** A span of somebody else (W3C Trace Context). */
export interface RemoteSpan {
  /** Checked before. */
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

export interface SpanOptions {
  /** `internal` unless told. */
  readonly kind?: 'internal' | 'server' | 'client';
  /** The span that runs here unless told. */
  readonly parent?: RemoteSpan | undefined;
  readonly links?: readonly RemoteSpan[];
  readonly attributes?: SpanAttributes;
  /** By `performance.now()`; now unless told. */
  readonly startedAt?: number | undefined;
}

/** One stretch of work of a trace. */
export interface Span extends RemoteSpan {
  set(attributes: SpanAttributes): void;
  /** @param type a class of errors, few in number (`error.type` of OpenTelemetry) */
  fail(type: string, message?: string): void;
  /** @param at by `performance.now()`; now unless told */
  end(at?: number): void;
}

/** Makes spans; there is none where the profile has them off. */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span;
  /** Runs work in a span: spans that are made in its course are its children. */
  run<T>(span: Span, work: () => T): T;
  /** Sends what is left, for at most some seconds. */
  close(): Promise<void>;
}

/** Work as a span, which ends with it and fails with what it throws. */
export async function inSpan<T>(
  tracer: Tracer,
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const span = tracer.start(name, options);
  try {
    return await tracer.run(span, () => work(span));
  } catch (error) {
    span.fail(errorType(error));
    throw error;
  } finally {
    span.end();
  }
}

/** The code of an error, else its class: no text of it, which may quote anything. */
function errorType(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && code !== '') return code;
  return error instanceof Error ? error.name : '_OTHER';
}
