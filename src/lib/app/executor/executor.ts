import { insufficientScope } from '../../domain/auth/index.ts';
import {
  type AuditedInput,
  type AuditWriter,
  auditInput,
  newExecutionId,
  redactText,
} from '../../domain/governance/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { CallOutcome } from '../../infra/telemetry/api-metrics.ts';
import { type AppError, CancelledError, ForbiddenError, TimeoutError, toAppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { missingScopes } from '../../shared/permission.ts';
import type { AdmissionCheck, Collected, Dispatch, LookOver, Rebuild, RunningCall, ToolCall, Verdict } from './call.ts';
import type { Before, PolicyRecord, Said, ToolPolicy, Watch } from './policy.ts';
import { digestOf, intentOf, micros, outcomeOf, toolName } from './rows.ts';

export interface ExecutorOptions {
  readonly audit: Pick<AuditWriter, 'intent' | 'attempt' | 'outcome'>;
  /** How long a call may take unless its tool says otherwise, in ms. */
  readonly callTimeoutMs: number;
  /** Asked in this order, after the caller's rights; the first refusal counts, and is an attempt on record. */
  readonly admission?: readonly AdmissionCheck[] | undefined;
  /** The rules and hooks; absent where there are none. */
  readonly policy?: ToolPolicy | undefined;
  /** Keeps what tools return as artifacts; nothing is kept without. */
  readonly artifacts?: ArtifactKeeper | undefined;
  /** Hears of each call when it is over: with the code of its error, or `none`. */
  readonly onEnd?: ((call: ToolCall, outcome: CallOutcome, reason: string) => void) | undefined;
}

/** Where what tools return as artifacts goes; nobody waits for it, and it never throws. */
export interface ArtifactKeeper {
  keep(call: ToolCall, executionId: ExecutionId, structured: Readonly<Record<string, unknown>>): void;
}

/** A call that was made and recorded; its answer may be given now. */
export interface Executed<A extends Verdict> {
  readonly executionId: ExecutionId;
  readonly answer: A;
}

/** An error of a call that has rows, with the id that finds them. */
export interface Recorded {
  readonly error: AppError;
  readonly executionId: ExecutionId;
}

/**
 * The one path of every tool call: authorise, commit the intent, make the call, commit its outcome, give the answer.
 * Without a durable intent there is no call, without a durable outcome no answer; a refusal is recorded the same way.
 */
export class Executor {
  readonly #audit: ExecutorOptions['audit'];
  readonly #callTimeoutMs: number;
  readonly #admission: readonly AdmissionCheck[] | undefined;
  readonly #policy: ToolPolicy | undefined;
  readonly #artifacts: ArtifactKeeper | undefined;
  readonly #onEnd: ExecutorOptions['onEnd'];

  constructor(options: ExecutorOptions) {
    this.#audit = options.audit;
    this.#callTimeoutMs = options.callTimeoutMs;
    this.#admission = options.admission?.length === 0 ? undefined : options.admission;
    this.#policy = options.policy;
    this.#artifacts = options.artifacts;
    this.#onEnd = options.onEnd;
  }

  /** Whether a call may have to wait for somebody's approval. */
  get asks(): boolean {
    return this.#policy !== undefined;
  }

  /**
   * Makes a call.
   * @param rebuild for answers that a rule or hook may change
   * @throws ExecutionError around ForbiddenError (refused), AuditUnavailableError (not made), UpstreamFailedError,
   *   UpstreamUnavailableError, TooLargeError, TimeoutError, CancelledError (made, and recorded as such)
   */
  async execute<A extends Verdict>(call: ToolCall, dispatch: Dispatch<A>, rebuild?: Rebuild<A>): Promise<Executed<A>> {
    const executionId = newExecutionId();
    const required = requiredScopes(call.server, call.tool);
    const input = auditInput(call.input, secretNames(call.server, call.tool));
    let refusal: AppError | undefined = refusalOf(call, required);
    if (refusal === undefined && this.#admission !== undefined) refusal = await notAdmitted(this.#admission, call);
    if (refusal !== undefined) return this.#attempt(call, executionId, required, input, refusal, 'refused');
    const watch = this.#policy?.watch(call.server, call.tool, call.via);
    const before = watch === undefined ? undefined : await watch.before(call, executionId);
    if (before?.refusal !== undefined) {
      return this.#attempt(call, executionId, required, input, before.refusal, 'refused', before.record);
    }
    const row = intentOf(call, executionId, required, input, 'allowed', before?.record);
    await this.#notMadeUnless(call, executionId, this.#audit.intent(row));
    return this.#run(call, executionId, input, dispatch, before && { before, watch, rebuild, said: [] });
  }

  /**
   * Records a call that can't be made: its message is not valid, or there is no server to send it to.
   * @throws ExecutionError around the given error, or around what speaks against the caller, or AuditUnavailableError
   */
  async reject(call: ToolCall, error: AppError, status: 'refused' | 'failed'): Promise<never> {
    const required = requiredScopes(call.server, call.tool);
    const input = auditInput(call.input, secretNames(call.server, call.tool));
    const refusal = refusalOf(call, required);
    return this.#attempt(
      call,
      newExecutionId(),
      required,
      input,
      refusal ?? error,
      refusal === undefined ? status : 'refused',
    );
  }

  /** What of a message about a task passes before its result is there; absent where nobody looks at it. */
  looksOver({ server, tool, via }: ToolCall): LookOver | undefined {
    const during = this.#policy?.watch(server, tool, via)?.during;
    return during && ((message) => during(message, []));
  }

  /**
   * Lets what a tool came to that ran as a task be given: rules and hooks look at it as at the answer of a call, and that it
   * was given is on record, in rows of its own that name the call.
   * @returns the answer, or what a rule or hook made of it
   * @throws ExecutionError when it is held back, or could not be recorded
   */
  async collect(call: ToolCall, { of, payload, structured, ...ended }: Collected): Promise<Executed<Verdict>> {
    const executionId = newExecutionId();
    const required = requiredScopes(call.server, call.tool);
    const input = auditInput({ task_of: of }, undefined);
    const watch = this.#policy?.watch(call.server, call.tool, call.via);
    const looked = await watch?.after?.(call, of, {}, { ...ended, payload });
    const given = looked?.payload ?? payload;
    const answer: Verdict = { ...ended, payload: given, ...(looked?.payload === undefined ? { structured } : {}) };
    const latencyUs = micros(call.arrivedAt);
    const row = intentOf(call, executionId, required, input, 'allowed');
    const outcome = outcomeOf(executionId, answer, looked?.refusal, [], latencyUs, latencyUs, looked?.record);
    await recorded(executionId, this.#audit.attempt(row, outcome));
    if (looked?.refusal !== undefined) throw new ExecutionError(looked.refusal, executionId);
    if (answer.structured !== undefined) this.#artifacts?.keep(call, executionId, answer.structured);
    return { executionId, answer };
  }

  async #attempt(
    call: ToolCall,
    executionId: ExecutionId,
    required: readonly string[],
    input: AuditedInput,
    error: AppError,
    status: 'refused' | 'failed',
    policy?: PolicyRecord,
  ): Promise<never> {
    const outcome = {
      executionId,
      status,
      error: redactText(error.message, input.secrets),
      latencyUs: micros(call.arrivedAt),
    };
    const decision = status === 'refused' ? 'refused' : 'allowed';
    const row = intentOf(call, executionId, required, input, decision, policy);
    await this.#notMadeUnless(call, executionId, this.#audit.attempt(row, outcome));
    this.#onEnd?.(call, status === 'refused' ? 'refused' : 'error', error.code);
    throw new ExecutionError(error, executionId);
  }

  async #run<A extends Verdict>(
    call: ToolCall,
    executionId: ExecutionId,
    input: AuditedInput,
    dispatch: Dispatch<A>,
    guard: Guard<A> | undefined,
  ): Promise<Executed<A>> {
    const sentAt = performance.now();
    let answer: A | undefined;
    let failure: AppError | undefined;
    try {
      if (call.cancellation.cancelled) throw cancelled();
      const { rewritten, approved } = guard?.before ?? {};
      answer = await this.#await(call, dispatch(executionId, rewritten, approved, lookOver(guard)));
    } catch (error) {
      failure = toAppError(error);
    }
    const upstreamUs = micros(sentAt);
    const judged = guard === undefined ? undefined : await judge(guard, call, executionId, answer, failure);
    failure = judged?.refusal ?? failure;
    const latencyUs = micros(call.arrivedAt);
    const outcome = outcomeOf(executionId, answer, failure, input.secrets, upstreamUs, latencyUs, judged?.record);
    answer = failure === undefined ? (judged?.answer ?? answer) : undefined;
    try {
      await recorded(executionId, this.#audit.outcome(outcome));
    } catch (error) {
      this.#onEnd?.(call, 'error', 'OUTCOME_NOT_RECORDED');
      throw error;
    }
    if (answer === undefined) this.#onEnd?.(call, 'error', failure?.code ?? 'INTERNAL');
    else if (answer.status === 'success') this.#onEnd?.(call, 'success', 'none');
    else this.#onEnd?.(call, 'error', answer.status === 'tool_error' ? 'TOOL_ERROR' : 'ANSWER_FAILED');
    if (answer === undefined) throw new ExecutionError(failure ?? toAppError(undefined), executionId);
    if (answer.structured !== undefined) this.#artifacts?.keep(call, executionId, answer.structured);
    return { executionId, answer };
  }

  /** A call whose row can't be written is not made. */
  async #notMadeUnless(call: ToolCall, executionId: ExecutionId, rows: Promise<void>): Promise<void> {
    try {
      await recorded(executionId, rows);
    } catch (error) {
      this.#onEnd?.(call, 'refused', 'AUDIT_UNAVAILABLE');
      throw error;
    }
  }

  async #await<A extends Verdict>(call: ToolCall, running: RunningCall<A>): Promise<A> {
    const ms = call.server.tools.get(call.tool)?.timeoutMs ?? this.#callTimeoutMs;
    const timer = setTimeout(() => running.abort(timedOut(call, ms)), ms);
    call.cancellation.onCancel(() => running.abort(cancelled()));
    try {
      return await running.answer;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Why a call has no answer, and the id under which that is recorded (if the audit could be reached). */
export class ExecutionError extends Error implements Recorded {
  readonly error: AppError;
  readonly executionId: ExecutionId;

  constructor(error: AppError, executionId: ExecutionId) {
    super(error.message, { cause: error });
    this.name = 'ExecutionError';
    this.error = error;
    this.executionId = executionId;
  }
}

/** Waits until rows are durable. @throws ExecutionError when they are not */
async function recorded(executionId: ExecutionId, rows: Promise<void>): Promise<void> {
  try {
    await rows;
  } catch (error) {
    // biome-ignore lint/style/useErrorCause: it takes the error that it carries for its cause
    throw new ExecutionError(toAppError(error), executionId);
  }
}

/** What speaks against the caller: the scopes of server and tool, or a client that is not the server's. */
export function refusalOf(
  call: { readonly server: McpServerConfig; readonly claims: Pick<ToolCall['claims'], 'scopes' | 'client'> },
  required: readonly string[],
): ForbiddenError | undefined {
  const { claims, server } = call;
  if (missingScopes(claims.scopes, required).length > 0) return insufficientScope(claims.scopes, required);
  const { clients } = server.oauth;
  if (clients === undefined || clients.includes(claims.client)) return undefined;
  return new ForbiddenError('This server does not take the tokens of this client', { data: { reason: 'client' } });
}

/** A call that rules and hooks watch over. */
interface Guard<A extends Verdict> {
  readonly before: Before;
  readonly watch: Watch | undefined;
  readonly rebuild: Rebuild<A> | undefined;
  /** What was found on the way to the answer. */
  readonly said: Said[];
}

function lookOver<A extends Verdict>(guard: Guard<A> | undefined): LookOver | undefined {
  const during = guard?.watch?.during;
  return during && ((message) => during(message, guard.said));
}

/** What rules and hooks make of how a call ended: the answer may be another one, or be held back. */
async function judge<A extends Verdict>(
  { before, watch, rebuild, said }: Guard<A>,
  call: ToolCall,
  executionId: ExecutionId,
  answer: A | undefined,
  failure: AppError | undefined,
): Promise<{ answer?: A; refusal?: AppError; record: PolicyRecord } | undefined> {
  if (watch?.after === undefined) return undefined;
  const ended = {
    status: answer?.status ?? 'failed',
    atWork: answer?.task !== undefined,
    payload: answer?.payload,
    error: failure?.message ?? answer?.error,
  } as const;
  const { input } = before.rewritten ?? call;
  const { refusal, payload, record: after } = await watch.after(call, executionId, input, ended);
  const record = said.length === 0 ? after : { ...after, said: [...said, ...after.said] };
  // There is nothing to hold back of a call that has no answer: its own error says what became of it.
  if (answer === undefined) return { record };
  if (refusal !== undefined) return { refusal, record };
  if (payload === undefined) return { record };
  try {
    if (rebuild === undefined) throw new TypeError('This answer can’t be changed');
    return { answer: rebuild(answer, payload), record: { ...record, given: digestOf(payload) } };
  } catch (error) {
    // What was to be changed is not given as it was, and the call still gets its outcome.
    return { refusal: toAppError(error), record };
  }
}

/** The first refusal of the admission checks. One that fails refuses too: nobody knows what it would have said. */
async function notAdmitted(checks: readonly AdmissionCheck[], call: ToolCall): Promise<AppError | undefined> {
  try {
    for (const check of checks) {
      const answer = check(call);
      const refusal = answer instanceof Promise ? await answer : answer;
      if (refusal !== undefined) return refusal;
    }
  } catch (error) {
    return toAppError(error);
  }
  return undefined;
}

const noScopes: readonly string[] = [];
const merged = new WeakMap<object, readonly string[]>();

/** What server and tool ask for together. */
export function requiredScopes(server: McpServerConfig, tool: string | undefined): readonly string[] {
  const config = tool === undefined ? undefined : server.tools.get(tool);
  if (config === undefined || config.scopes.length === 0) return server.oauth.scopes;
  let all = merged.get(config);
  if (all === undefined) {
    all = [...new Set([...server.oauth.scopes, ...(config.scopes ?? noScopes)])];
    merged.set(config, all);
  }
  return all;
}

function secretNames(server: McpServerConfig, tool: string): ReadonlySet<string> | undefined {
  const names = server.tools.get(tool)?.secret;
  return names === undefined || names.size === 0 ? undefined : names;
}

function cancelled(): CancelledError {
  return new CancelledError('The caller took the call back.');
}

function timedOut(call: ToolCall, ms: number): TimeoutError {
  return new TimeoutError(`The tool ${toolName(call)} did not answer within ${ms} ms.`, {
    hint: 'The call was broken off; whether it had an effect is for the tool to say.',
    data: { timeoutMs: ms },
  });
}
