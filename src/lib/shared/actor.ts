import type { SessionId, UserId } from './ids.ts';
import type { Permission } from './permission.ts';

/** On whose behalf work is done. Services take it first and check it before they act. */
export interface Actor {
  readonly userId: UserId;
  readonly userName: string;
  /** Absent for work that the system does for itself. */
  readonly sessionId?: SessionId;
  /** What the credential allows: tiers and named scopes, never more than the user's roles. */
  readonly scopes: readonly string[];
  /** The highest tier among the scopes. */
  readonly permission: Permission;
}
