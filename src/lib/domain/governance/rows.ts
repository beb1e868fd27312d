import type { ExecutionId } from '../../shared/ids.ts';

/** How a call ended. `interrupted` is written for an API process that died in the middle. */
export const outcomeStatuses = [
  'success',
  'tool_error',
  'failed',
  'refused',
  'timeout',
  'cancelled',
  'interrupted',
] as const;
export type OutcomeStatus = (typeof outcomeStatuses)[number];

/** What is written before a call is made. */
export interface IntentRow {
  readonly executionId: ExecutionId;
  readonly server: string;
  readonly tool: string;
  readonly userId: string;
  readonly userName: string;
  readonly sessionId: string;
  readonly client: string;
  /** What the caller held, and what server and tool asked for. */
  readonly scopes: readonly string[];
  readonly required: readonly string[];
  /** SHA-256, hex. */
  readonly inputDigest: string;
  /** JSON text, redacted and bounded. */
  readonly inputJson: string;
  readonly decision: 'allowed' | 'refused';
  /** The virtual server that it came by. */
  readonly via?: string | undefined;
  /** JSON text of what rules and hooks said, bounded. */
  readonly policyJson?: string | undefined;
  /** W3C trace id. */
  readonly traceId?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** What is written before its answer leaves. */
export interface OutcomeRow {
  readonly executionId: ExecutionId;
  readonly status: OutcomeStatus;
  /** Redacted and bounded. */
  readonly error?: string;
  /** SHA-256, hex, of the answer's bytes. */
  readonly outputDigest?: string;
  readonly outputBytes?: number;
  /** Microseconds. */
  readonly latencyUs?: number;
  readonly upstreamUs?: number;
  /** JSON text of what rules and hooks said of the answer, bounded. */
  readonly policyJson?: string | undefined;
}
