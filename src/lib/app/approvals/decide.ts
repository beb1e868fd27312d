import { recordIdentityEvent } from '../../domain/auth/index.ts';
import { decideApproval, findApproval, listApprovals, type ToolApproval } from '../../domain/governance/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { ConflictError, ForbiddenError, NotFoundError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { implies } from '../../shared/permission.ts';

/** Who decides, and by which way. */
export interface Decider {
  readonly userId: string;
  readonly userName: string;
  readonly through: 'cli' | 'client';
}

/** Calls that wait for an approval; an admin sees all, everybody else their own. */
export function approvalsFor(
  database: Queryable,
  actor: Actor,
  filter: { readonly waiting: boolean; readonly limit: number },
): Promise<ToolApproval[]> {
  return listApprovals(database, { ...filter, userId: implies(actor.permission, 'admin') ? undefined : actor.userId });
}

/** @throws NotFoundError when there is none, or it is somebody else's and the actor is no admin */
export async function approvalFor(database: Queryable, actor: Actor, id: string): Promise<ToolApproval> {
  const approval = await findApproval(database, id);
  if (approval === undefined || !(implies(actor.permission, 'admin') || approval.userId === actor.userId)) {
    throw new NotFoundError(`There is no approval ${id.slice(0, 80)}.`, { next: ['plugins mcp approvals list'] });
  }
  return approval;
}

/**
 * Approves or denies a call that waits. The decision and its event are one commit.
 * @throws NotFoundError; ForbiddenError when it is the decider's own call and somebody else has to approve it; ConflictError
 *   when it was decided already, or its time is over
 */
export async function decide(
  database: Pick<Database, 'transaction'>,
  id: string,
  state: 'approved' | 'denied',
  by: Decider,
): Promise<ToolApproval> {
  return await database.transaction(async (tx) => {
    const before = await findApproval(tx, id);
    if (before === undefined) {
      throw new NotFoundError(`There is no approval ${id.slice(0, 80)}.`, { next: ['plugins mcp approvals list'] });
    }
    // Who asked may always think better of it.
    if (state === 'approved' && before.approver === 'other' && before.userId === by.userId) {
      throw new ForbiddenError('Nobody approves their own call here: another admin has to.', {
        hint: `The rule of ${before.server} says approver: other.`,
        data: { reason: 'own_call', approval: { id } },
      });
    }
    const decision = { state, by: by.userId, byName: by.userName, through: by.through };
    const after = await decideApproval(tx, id, decision);
    if (after === undefined) {
      const told = before.state === 'waiting' ? 'expired' : before.state;
      throw new ConflictError(`The approval ${id} does not wait any more: it is ${told}.`, {
        next: ['plugins mcp approvals list --all'],
      });
    }
    await recordIdentityEvent(tx, {
      type: state === 'approved' ? 'call_approved' : 'call_denied',
      userId: after.userId as UserId,
      actorId: by.userId as UserId,
      clientId: after.client,
      sessionId: after.sessionId as SessionId,
      resource: after.server,
      data: {
        approval: id,
        tool: after.tool,
        input_digest: after.inputDigest,
        policy_version: after.policyVersion,
        through: by.through,
      },
    });
    return after;
  });
}
