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
import { traceIdOfCall } from '../../shared/trace-context.ts';
import type { ToolCall, Verdict } from './call.ts';
import type { AskedRecord, PolicyRecord, TaskRecord } from './policy.ts';

/** Longest tool name that is recorded, in characters. */
const maxToolName = 256;

/** A tool's name as it may be stored and shown. */
export function toolName(call: Pick<ToolCall, 'tool'>): string {
  // What can't be seen is written out: it would let a name look like another one, or like a row of its own.
  return redactText(call.tool, undefined, maxToolName).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (unseen) => `\\u{${unseen.codePointAt(0)?.toString(16)}}`,
  );
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
    traceId: call.traceId ?? traceIdOfCall(executionId),
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
    ...policyOf(policy, failure === undefined ? answer : undefined),
    ...(answer === undefined ? {} : { outputDigest: digestOf(answer.payload), outputBytes: answer.payload.length }),
  };
}

/** What rules and hooks said, and that the answer is a question, or a task. */
function policyOf(policy: PolicyRecord | undefined, answer: Verdict | undefined) {
  const said = policy === undefined || policy.said.length === 0 ? undefined : policy;
  const { asks: asked, task } = answer ?? {};
  if (said === undefined && asked === undefined && task === undefined) return {};
  return { policyJson: policyJson({ ...said, ...(asked && { asked }), ...(task && { task: shownTask(task) }) }) };
}

/** What `jsonb` refuses, and what is no id that anybody could look for, is left out. */
function shownTask({ id, status }: TaskRecord['task']): TaskRecord['task'] {
  return { id: redactText(id, undefined, 200), status: redactText(status, undefined, 40) };
}

/** What `jsonb` refuses can only be in texts, which were cleaned. */
function policyJson(policy: PolicyRecord | Partial<PolicyRecord & AskedRecord & TaskRecord>): string {
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
