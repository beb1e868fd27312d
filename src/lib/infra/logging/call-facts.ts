import { AsyncLocalStorage } from 'node:async_hooks';

/** What a line that is printed in the course of a call says about it. */
export interface CallFacts {
  readonly tool: string;
  readonly execution: string;
  /** Of the W3C trace context, where the caller sent one. */
  readonly trace_id?: string;
  /** Id of the caller. */
  readonly user?: string;
}

const current = new AsyncLocalStorage<CallFacts>();

/** Runs the work of a call, so that what it prints can be told from what others print. */
export function inCall<T>(facts: CallFacts, work: () => T): T {
  return current.run(facts, work);
}

/** Of the call in whose course this runs; nothing outside of one. */
export function currentCall(): CallFacts | undefined {
  return current.getStore();
}

/** The trace id of a `traceparent` header (W3C Trace Context, 3.2.2.3); undefined for what is none. */
export function traceIdOf(traceparent: string | null | undefined): string | undefined {
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? '')?.[1];
  return id === undefined || /^0+$/.test(id) ? undefined : id;
}
