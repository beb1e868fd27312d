import { z } from 'zod';
import type { ToolHookCall } from '../../shared/mcp/hook.ts';

/** What a hook says before a call. */
export type BeforeVerdict =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'deny'; readonly reason: string }
  | { readonly verdict: 'ask'; readonly reason: string }
  | { readonly verdict: 'rewrite'; readonly reason?: string; readonly input: Readonly<Record<string, unknown>> };

/** What a hook says of an answer. */
export type AfterVerdict =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'deny'; readonly reason: string }
  | { readonly verdict: 'redact'; readonly reason?: string; readonly output: Output };

/** What takes the place of a tool's result. */
export interface Output {
  readonly content?: readonly unknown[] | undefined;
  readonly structuredContent?: Readonly<Record<string, unknown>> | undefined;
}

const reason = z.string().max(2000).optional();
const members = z.record(z.string(), z.unknown());

const before = z.union([
  z.strictObject({
    decision: z.enum(['allow', 'deny', 'ask']),
    reason,
    input: members.optional(),
  }),
  // The answer of a hook of Claude Code.
  z
    .looseObject({
      hookSpecificOutput: z.looseObject({
        hookEventName: z.literal('PreToolUse').optional(),
        permissionDecision: z.enum(['allow', 'deny', 'ask']),
        permissionDecisionReason: reason,
        updatedInput: members.optional(),
      }),
    })
    .transform(({ hookSpecificOutput: own }) => ({
      decision: own.permissionDecision,
      reason: own.permissionDecisionReason,
      input: own.updatedInput,
    })),
]);

const output = z.strictObject({
  content: z.array(z.looseObject({ type: z.string() })).optional(),
  structuredContent: members.optional(),
});

const after = z.union([
  z.strictObject({ decision: z.literal('allow'), reason }),
  z.strictObject({ decision: z.literal('deny'), reason }),
  z.strictObject({ decision: z.literal('redact'), reason, output }),
  z.strictObject({ decision: z.literal('block'), reason }).transform((own) => ({ ...own, decision: 'deny' as const })),
]);

/**
 * Reads the answer of a hook.
 * @throws SyntaxError when it is none: then the hook has failed
 */
export function readBefore(text: string): BeforeVerdict {
  const answer = before.safeParse(jsonOf(text));
  if (!answer.success) throw new SyntaxError('it answered with what is no verdict');
  const { decision, input, reason: why } = answer.data;
  if (decision !== 'allow' && input !== undefined) throw new SyntaxError('it rewrites what it does not allow');
  if (decision === 'deny') return { verdict: 'deny', reason: why ?? 'Refused.' };
  if (decision === 'ask') return { verdict: 'ask', reason: why ?? 'A hook asks for one.' };
  if (input === undefined) return { verdict: 'allow' };
  return { verdict: 'rewrite', input, ...(why === undefined ? {} : { reason: why }) };
}

/** @throws SyntaxError when it is none */
export function readAfter(text: string): AfterVerdict {
  const answer = after.safeParse(jsonOf(text));
  if (!answer.success) throw new SyntaxError('it answered with what is no verdict');
  const { data } = answer;
  const { reason: why } = data;
  if (data.decision === 'allow') return { verdict: 'allow' };
  if (data.decision === 'deny') return { verdict: 'deny', reason: why ?? 'The answer was held back.' };
  return { verdict: 'redact', output: data.output, ...(why === undefined ? {} : { reason: why }) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // biome-ignore lint/style/useErrorCause: the parser's message quotes the text, which may hold a secret
    throw new SyntaxError('it answered with what is no JSON');
  }
}

/** What a hook is told: the names of Claude Code's hooks, and what else is known here. */
export interface HookCall extends ToolHookCall {
  readonly session_id: string;
  readonly cwd: string;
}
