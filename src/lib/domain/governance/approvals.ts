import type { Queryable } from '../../infra/database/connection.ts';
import { newExecutionId } from './execution-id.ts';
import type { ToolApprovalsRow } from './tables.ts';

/** Tells every API process of a decision: NOTIFY with the approval's id. */
export const approvalsChannel = 'tool_approvals';

export type ApprovalState = ToolApprovalsRow['state'];

/** One call that waits for an approval, or had one. */
export interface ToolApproval {
  readonly id: string;
  readonly userId: string;
  readonly userName: string;
  readonly client: string;
  readonly sessionId: string;
  readonly server: string;
  readonly tool: string;
  /** SHA-256 of the canonical arguments, hex. */
  readonly inputDigest: string;
  /** Redacted and bounded. */
  readonly input: unknown;
  readonly policyVersion: string;
  readonly reason: string;
  readonly approver: 'caller' | 'other';
  readonly state: ApprovalState;
  readonly askedAt: Date;
  readonly expiresAt: Date;
  readonly decidedAt?: Date | undefined;
  readonly decidedBy?: string | undefined;
  readonly decidedByName?: string | undefined;
  readonly decidedThrough?: 'cli' | 'client' | undefined;
  readonly executionId?: string | undefined;
}

/** What an approval is for: another caller, tool, argument or set of rules needs another one. */
export type ApprovalBinding = Pick<
  ToolApproval,
  'userId' | 'client' | 'server' | 'tool' | 'inputDigest' | 'policyVersion'
>;

export interface ApprovalQuestion extends ApprovalBinding, Pick<ToolApproval, 'userName' | 'sessionId' | 'reason'> {
  readonly approver: 'caller' | 'other';
  /** JSON text, redacted and bounded. */
  readonly inputJson: string;
  readonly ttlSeconds: number;
}

const idForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const sameCall =
  'user_id = $1 AND client = $2 AND server = $3 AND tool = $4 AND input_digest = $5 AND policy_version = $6';

/** The open approval of exactly this call: the one that there is, or a new one that waits. */
export async function openApproval(tx: Queryable, question: ApprovalQuestion): Promise<ToolApproval> {
  const { userId, client, server, tool, inputDigest, policyVersion } = question;
  const binding = [userId, client, server, tool, inputDigest, policyVersion];
  await tx.query(
    `UPDATE tool_approvals SET state = 'expired'
     WHERE ${sameCall} AND state IN ('waiting', 'approved') AND expires_at <= now()`,
    binding,
  );
  const { userName, sessionId, inputJson, reason, approver, ttlSeconds } = question;
  await tx.query(
    `INSERT INTO tool_approvals (user_id, client, server, tool, input_digest, policy_version, id, user_name, session_id, input,
       reason, approver, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12, now() + make_interval(secs => $13))
     ON CONFLICT (user_id, client, server, tool, input_digest, policy_version) WHERE state IN ('waiting', 'approved') DO NOTHING`,
    [...binding, newExecutionId(), userName, sessionId, inputJson, reason, approver, ttlSeconds],
  );
  const [row] = await tx.query<ToolApprovalsRow>(
    `SELECT * FROM tool_approvals WHERE ${sameCall} AND state IN ('waiting', 'approved')`,
    binding,
  );
  if (row === undefined) throw new Error('The approval is not there after it was asked for');
  return toApproval(row);
}

/** @param id as somebody wrote it */
export async function findApproval(tx: Queryable, id: string): Promise<ToolApproval | undefined> {
  if (!idForm.test(id)) return undefined;
  const [row] = await tx.query<ToolApprovalsRow>('SELECT * FROM tool_approvals WHERE id = $1', [id]);
  return row && toApproval(row);
}

/** The newest first. @param userId of one caller alone */
export async function listApprovals(
  tx: Queryable,
  filter: { readonly userId?: string | undefined; readonly waiting: boolean; readonly limit: number },
): Promise<ToolApproval[]> {
  const rows = await tx.query<ToolApprovalsRow>(
    `SELECT * FROM tool_approvals
     WHERE ($1::uuid IS NULL OR user_id = $1) AND (NOT $2 OR (state = 'waiting' AND expires_at > now()))
     ORDER BY id DESC LIMIT $3`,
    [filter.userId ?? null, filter.waiting, filter.limit],
  );
  return rows.map(toApproval);
}

/** Decides what waits. @returns nothing when it does not wait any more */
export async function decideApproval(
  tx: Queryable,
  id: string,
  decision: {
    readonly state: 'approved' | 'denied';
    readonly by: string;
    readonly byName: string;
    readonly through: 'cli' | 'client';
  },
): Promise<ToolApproval | undefined> {
  const [row] = await tx.query<ToolApprovalsRow>(
    `UPDATE tool_approvals SET state = $2, decided_at = now(), decided_by = $3, decided_by_name = $4, decided_through = $5
     WHERE id = $1 AND state = 'waiting' AND expires_at > now() RETURNING *`,
    [id, decision.state, decision.by, decision.byName, decision.through],
  );
  return row && toApproval(row);
}

/** Uses an approval up: once, before it expires. @returns whether it could be */
export async function spendApproval(tx: Queryable, id: string, executionId: string): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE tool_approvals SET state = 'used', used_at = now(), execution_id = $2
     WHERE id = $1 AND state = 'approved' AND expires_at > now() RETURNING id`,
    [id, executionId],
  );
  return rows.length > 0;
}

/** Forgets what was over long ago; what was decided stays in the audit. */
export async function forgetApprovals(tx: Queryable, days: number): Promise<void> {
  await tx.query(
    `DELETE FROM tool_approvals WHERE id IN
       (SELECT id FROM tool_approvals WHERE expires_at < now() - make_interval(days => $1) LIMIT 1000)`,
    [days],
  );
}

function toApproval(row: ToolApprovalsRow): ToolApproval {
  return {
    id: row.id,
    userId: row.user_id,
    userName: row.user_name,
    client: row.client,
    sessionId: row.session_id,
    server: row.server,
    tool: row.tool,
    inputDigest: row.input_digest,
    input: row.input,
    policyVersion: row.policy_version,
    reason: row.reason,
    approver: row.approver,
    state: stateOf(row),
    askedAt: row.asked_at,
    expiresAt: row.expires_at,
    decidedAt: row.decided_at ?? undefined,
    decidedBy: row.decided_by ?? undefined,
    decidedByName: row.decided_by_name ?? undefined,
    decidedThrough: row.decided_through ?? undefined,
    executionId: row.execution_id ?? undefined,
  };
}

/** A row learns of its end when somebody looks for it. */
function stateOf({ state, expires_at: end }: ToolApprovalsRow): ApprovalState {
  return (state === 'waiting' || state === 'approved') && end.getTime() <= Date.now() ? 'expired' : state;
}
