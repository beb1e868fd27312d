import type { ToolLogger } from './context.ts';

/** A call of a tool, of whichever server, as a hook is told of it. */
export interface ToolHookCall {
  readonly hook_event_name: 'PreToolUse' | 'PostToolUse' | 'PostToolUseFailure';
  /** `mcp__<server>__<tool>` */
  readonly tool_name: string;
  readonly tool_input: unknown;
  /** The call's id in the audit. */
  readonly tool_use_id: string;
  readonly server: string;
  readonly tool: string;
  /** The virtual server that the caller spoke to. */
  readonly via?: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly client: string;
  readonly scopes: readonly string[];
  /** After a call that was answered: the tool's result. */
  readonly tool_response?: unknown;
  /** After one that failed. */
  readonly error?: string;
}

/** What a hook decides; `ask` and `input` before a call, `redact` after one. */
export type ToolHookVerdict =
  | { readonly decision: 'allow'; readonly input?: Readonly<Record<string, unknown>>; readonly reason?: string }
  | { readonly decision: 'deny' | 'ask'; readonly reason?: string }
  | {
      readonly decision: 'redact';
      readonly reason?: string;
      readonly output: {
        readonly content?: readonly unknown[];
        readonly structuredContent?: Readonly<Record<string, unknown>>;
      };
    };

export interface ToolHookContext {
  readonly logger: ToolLogger;
  /** Aborts when nobody waits for the verdict any more. */
  readonly signal: AbortSignal;
}

/** Looks at calls; one that throws, answers something else or takes too long denies. */
export type ToolHookFunction = (
  call: ToolHookCall,
  context: ToolHookContext,
) => ToolHookVerdict | Promise<ToolHookVerdict>;
