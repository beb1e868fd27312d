import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { AppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { ToolCall } from './call.ts';

/** What the rules and hooks have to say about calls. */
export interface ToolPolicy {
  /**
   * What watches over the calls of a tool; nothing when nothing does.
   * @param via the virtual server that the caller spoke to
   */
  watch(server: McpServerConfig, tool: string, via?: string): Watch | undefined;
  /** Whether every call of a tool is refused, whatever its arguments: then it is in no list. */
  denies(server: McpServerConfig, tool: string, via?: string): boolean;
}

/** The rules and hooks of one tool. Neither function rejects: what fails is a refusal. */
export interface Watch {
  /** Before the call is sent: whether it may, and with which input. */
  before(call: ToolCall, executionId: ExecutionId): Promise<Before>;
  /** When it is over; absent when nobody asks for that. */
  readonly after?:
    | ((call: ToolCall, executionId: ExecutionId, input: unknown, ended: Ended) => Promise<After>)
    | undefined;
  /**
   * What of a message may pass that the server sends before its answer (progress, log messages, questions); absent when
   * nobody looks at them.
   * @param said where it is noted what was found
   * @returns the JSON text as it came, or without what must not get out
   * @throws AppError when the call is to be held back
   */
  readonly during?: ((message: string, said: Said[]) => string) | undefined;
}

export interface Before {
  readonly refusal?: AppError | undefined;
  /** What is sent instead of the caller's input, when that was rewritten. */
  readonly rewritten?: { readonly input: unknown } | undefined;
  /** Whether somebody approved the input: then what was judged is sent, whatever else the caller's bytes could be read as. */
  readonly approved?: boolean;
  readonly record: PolicyRecord;
}

/** How a call ended: with an answer, or without one. */
export interface Ended {
  readonly status: 'success' | 'tool_error' | 'failed';
  /** The tool is still at work, as a task: hooks are asked about its result. */
  readonly atWork?: boolean | undefined;
  readonly payload?: Buffer | undefined;
  readonly error?: string | undefined;
}

export interface After {
  /** The answer is held back. */
  readonly refusal?: AppError | undefined;
  /** What is answered instead. */
  readonly payload?: Buffer | undefined;
  readonly record: PolicyRecord;
}

/** What the audit keeps of an answer that is a question (MCP 2026-07-28, SEP-2322): column `policy` of the outcome. */
export interface AskedRecord {
  /** Methods of MCP. */
  readonly asked: readonly string[];
}

/** What the audit keeps of an answer that is a task. */
export interface TaskRecord {
  /** As the server calls it. */
  readonly task: { readonly id: string; readonly status: string };
}

/** What the audit keeps of it: column `policy` of intent and outcome. */
export interface PolicyRecord {
  /** Digest of the rules that held: the same rules, the same version. */
  readonly version: string;
  /** Who spoke: each hook, and each rule that had something against it. */
  readonly said: readonly Said[];
  readonly rewritten?: { readonly digest: string; readonly input: unknown } | undefined;
  /** SHA-256, hex, of the answer that was given instead of the server's. */
  readonly given?: string | undefined;
  readonly approval?: { readonly id: string; readonly state: string; readonly by?: string | undefined } | undefined;
}

export interface Said {
  readonly by: string;
  readonly verdict: string;
  readonly reason?: string | undefined;
  /** How long it took, where that is not nothing. */
  readonly ms?: number | undefined;
}
