import type { ExecutionId } from './ids.ts';

// W3C Trace Context, https://www.w3.org/TR/trace-context/: 32 hexadecimal digits of a trace, 16 of a span in it.

/** The trace of a call whose client has none: its execution id, so that either finds it. */
export function traceIdOfCall(executionId: ExecutionId): string {
  return executionId.replaceAll('-', '');
}

/** What a server is told of it. The span is ours: the last digits of an execution id are random, and never all zero. */
export function traceparentOfCall(executionId: ExecutionId): string {
  const id = traceIdOfCall(executionId);
  return `00-${id}-${id.slice(16)}-01`;
}
