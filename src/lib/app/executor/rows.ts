import { hash } from 'node:crypto';
import {
  type AuditedInput,
  type IntentRow,
  type OutcomeRow,
  type OutcomeStatus,
  redactText,
} from '../../domain/governance/index.ts';
import type { AppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { ToolCall, Verdict } from './call.ts';
import type { PolicyRecord } from './policy.ts';

/** Longest tool name that is recorded, in characters. */
const maxToolName = 256;

/** A tool's name as it may be stored and shown. */
export function toolName(call: Pick<ToolCall, 'tool'>): string {
  return redactText(call.tool, undefined, maxToolName);
}

/** The row of a call that is about to be made, or refused. */
export function intentOf(
  call: ToolCall,
  executionId: ExecutionId,
  required: readonly string[],
  input: AuditedInput,
  decision: IntentRow['decision'],
  policy?: PolicyRecord,
): IntentRow {
  const { claims } = call;
  return {
    executionId,
    server: call.server.name,
    tool: toolName(call),
    userId: claims.sub,
    userName: claims.name,
    sessionId: claims.sid,
    client: claims.client,
    scopes: claims.scopes,
    required,
    inputDigest: input.digest,
    inputJson: input.json,
    decision,
    startedAt: Date.now(),
    via: call.via,
    policyJson: policy === undefined ? undefined : policyJson(policy),
    traceId: call.traceId,
  };
}

/** The row of what became of it. */
export function outcomeOf(
  executionId: ExecutionId,
  answer: Verdict | undefined,
  failure: AppError | undefined,
  secrets: readonly string[],
  upstreamUs: number,
  latencyUs: number,
  policy?: PolicyRecord,
): OutcomeRow {
  const error = failure?.message ?? answer?.error;
  return {
    executionId,
    status: answer === undefined || failure !== undefined ? statusOf(failure) : answer.status,
    latencyUs,
    upstreamUs,
    ...(error === undefined ? {} : { error: redactText(error, secrets) }),
    ...(policy === undefined || policy.said.length === 0 ? {} : { policyJson: policyJson(policy) }),
    ...(answer === undefined ? {} : { outputDigest: digestOf(answer.payload), outputBytes: answer.payload.length }),
  };
}

/** What `jsonb` refuses can only be in texts, which were cleaned. */
function policyJson(policy: PolicyRecord): string {
  return JSON.stringify(policy);
}

function statusOf(failure: AppError | undefined): OutcomeStatus {
  if (failure?.code === 'TIMEOUT') return 'timeout';
  return failure?.code === 'CANCELLED' ? 'cancelled' : 'failed';
}

/** SHA-256 of an answer's bytes, in hex. */
export function digestOf(payload: Buffer): string {
  return hash('sha256', payload, 'hex');
}

/** Microseconds since a point in time of `performance.now()`. */
export function micros(since: number): number {
  return Math.round((performance.now() - since) * 1_000);
}
