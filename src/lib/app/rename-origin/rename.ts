import { moveBuiltinClients, recordIdentityEvents } from '../../domain/auth/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { requireAdmin } from '../access/rights.ts';
import { type AppliedChange, type ChangeContext, changeConfiguration } from '../config/change.ts';
import type { RenamePlan } from './plan.ts';

/**
 * Gives the instance its new address: in the profile, in the clients that come with it, and on record. Nobody's passkey,
 * sign-in or token is removed: with the old address given back, all of them are good again.
 * @throws ConfigInvalidError, and nothing is changed; ForbiddenError
 */
export async function renameOrigin(
  plan: RenamePlan,
  deps: { readonly database: Database; readonly change: ChangeContext; readonly actor: Actor },
): Promise<AppliedChange> {
  requireAdmin(deps.actor, 'A new address of the instance');
  const { from, to } = plan;
  const { userId } = deps.actor;
  return await deps.database.transaction(async (tx) => {
    const moved = await moveBuiltinClients(tx, from, to);
    await recordIdentityEvents(tx, [
      {
        type: 'origin_renamed',
        actorId: userId,
        data: {
          from,
          to,
          issuer: plan.issuer.after,
          rp_id: plan.rpId.after,
          passkeys_lost: plan.lostPasskeys.length,
          users_without_passkey: plan.lockedOut,
          kept_old: plan.trusted.after.includes(from),
        },
      },
      ...moved.map((clientId) => ({ type: 'client_changed' as const, actorId: userId, clientId, data: { from, to } })),
    ]);
    // Last: a file that can't be written takes all of it back.
    return await changeConfiguration(deps.change, plan.changes, { dryRun: false });
  });
}
