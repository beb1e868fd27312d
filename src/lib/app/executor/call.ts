import type { Claims } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { AppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';

/** One tool call as it came in, its caller known. */
export interface ToolCall {
  readonly server: McpServerConfig;
  readonly tool: string;
  /** The virtual server that the caller spoke to, when `server` is what stands behind it. */
  readonly via?: string | undefined;
  /** The arguments, a value from `JSON.parse` of bounded depth. */
  readonly input: unknown;
  readonly claims: Claims;
  /** The trace that it belongs to (W3C trace context), when the caller says so. */
  readonly traceId?: string | undefined;
  /** How the caller can be asked something while the call waits; absent where they can't. */
  readonly asker?: Asker | undefined;
  /** When it arrived, by `performance.now()`. */
  readonly arrivedAt: number;
  readonly cancellation: Cancellation;
}

/** A way to the person behind the caller. */
export interface Asker {
  /**
   * Puts a question to them; the answer comes by another request, to whichever API process. Absent where a question is
   * the answer to the call, which is then made again.
   * @returns a function that takes the question back
   */
  readonly ask?: ((question: Question) => () => void) | undefined;
  /** What this call brings as the answer to a question that was asked before. */
  readonly answer?: { readonly id: string; readonly accepted: boolean } | undefined;
}

/** Whether a call may be made. */
export interface Question {
  /** Of the approval. */
  readonly id: string;
  readonly text: string;
}

/** One check before a call is let in: what speaks against it, or nothing. */
export type AdmissionCheck = (call: ToolCall) => AppError | undefined | Promise<AppError | undefined>;

/** What a server answered, judged. */
export interface Verdict {
  readonly status: 'success' | 'tool_error' | 'failed';
  /** What went wrong, as the server says it. */
  readonly error?: string;
  /** The answer is a question: what the caller is asked before the call goes on, by the methods of MCP (`input_required`). */
  readonly asks?: readonly string[] | undefined;
  /** The answer is a task: the tool is at work, and its result is fetched by other requests. */
  readonly task?: { readonly id: string; readonly status: string } | undefined;
  /** What the tool returned as data beside its text, when it did. */
  readonly structured?: Readonly<Record<string, unknown>> | undefined;
  /** The answer's message, as bytes. */
  readonly payload: Buffer;
}

/** A call that is on its way to a server. */
export interface RunningCall<A extends Verdict> {
  /** Rejects with an AppError when there is no answer that could be given. */
  readonly answer: Promise<A>;
  /** Breaks the call off; `answer` rejects with the reason. */
  abort(reason: Error): void;
}

/**
 * Sends the call; only ever called after its intent is durable.
 * @param rewritten what is sent instead of the caller's input, when a rule or hook has changed that
 * @param approved whether the input is one that somebody approved, so that it is sent as it was read
 * @param look what of a message passes that comes before the answer; all of it unless told
 */
export type Dispatch<A extends Verdict> = (
  executionId: ExecutionId,
  rewritten?: { readonly input: unknown },
  approved?: boolean,
  look?: LookOver,
) => RunningCall<A>;

/** What of a JSON text passes. @throws AppError when none of it does, and nothing after it */
export type LookOver = (message: string) => string;

/** What a tool came to that ran as a task, as it was fetched. */
export interface Collected {
  /** The call that began it. */
  readonly of: ExecutionId;
  readonly status: Verdict['status'];
  readonly error?: string;
  readonly structured?: Readonly<Record<string, unknown>> | undefined;
  /** As the answer of a call would have been. */
  readonly payload: Buffer;
}

/** The same answer with another message, when a rule or hook has changed that. */
export type Rebuild<A extends Verdict> = (answer: A, payload: Buffer) => A;

/** The caller's way to take the call back. Lighter than an AbortSignal, of which each would cost as much as a signature. */
export class Cancellation {
  #cancelled = false;
  #listener: (() => void) | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#listener?.();
  }

  /** One listener: the executor's. Called at once when it is cancelled already. */
  onCancel(listener: () => void): void {
    this.#listener = listener;
    if (this.#cancelled) listener();
  }
}
