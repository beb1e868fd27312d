import type { Finding, HeldReason, ToolState } from './tools.ts';

/** What becomes of new and changed tools: taken and recorded, or held until somebody approves them. */
export type ToolPolicy = 'auto' | 'review';

/** What is on record of a tool. */
export interface KnownTool {
  readonly digest: string;
  readonly state: ToolState;
  readonly reason: HeldReason | null;
  readonly approvedDigest: string | null;
}

/** A tool as its server lists it now. */
export interface SeenTool {
  readonly digest: string;
  readonly invalid: boolean;
  readonly findings: readonly Finding[];
}

export interface Decision {
  readonly state: ToolState;
  readonly reason: HeldReason | null;
  readonly approvedDigest: string | null;
  /** What happened, if anything did. */
  readonly event: 'added' | 'changed' | 'returned' | 'approved' | undefined;
}

/**
 * What becomes of a tool that a server lists. Under `review` only the very form that was approved may be called: what is
 * new, was changed or was found suspicious is held. Under `auto` it is taken. What is no tool is never offered.
 */
export function decide(known: KnownTool | undefined, seen: SeenTool, policy: ToolPolicy): Decision {
  const event = eventOf(known, seen);
  const approvedBefore = known?.approvedDigest ?? null;
  if (seen.invalid) return { state: 'held', reason: 'invalid', approvedDigest: approvedBefore, event };
  if (policy === 'auto' || approvedBefore === seen.digest) {
    const released = event === undefined && known?.state === 'held';
    return { state: 'approved', reason: null, approvedDigest: seen.digest, event: released ? 'approved' : event };
  }
  const reason = seen.findings.length > 0 ? 'finding' : approvedBefore === null ? 'new' : 'changed';
  return { state: 'held', reason, approvedDigest: approvedBefore, event };
}

function eventOf(known: KnownTool | undefined, seen: SeenTool): Decision['event'] {
  if (known === undefined) return 'added';
  if (known.digest !== seen.digest) return 'changed';
  return known.state === 'gone' ? 'returned' : undefined;
}
