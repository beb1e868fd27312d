import type { Actor } from '../../shared/actor.ts';
import { ForbiddenError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { implies } from '../../shared/permission.ts';

/** Whether the actor may administer identity. */
export function isAdmin(actor: Actor): boolean {
  return implies(actor.permission, 'admin');
}

/** @throws ForbiddenError unless the actor is an admin */
export function requireAdmin(actor: Actor, what: string): void {
  if (isAdmin(actor)) return;
  throw new ForbiddenError(`${what} is for an admin only.`, { data: { permission: 'admin' } });
}

/** @throws ForbiddenError unless it is the actor's own, or the actor is an admin */
export function requireOwn(actor: Actor, userId: UserId, what: string): void {
  if (actor.userId === userId && implies(actor.permission, 'user')) return;
  if (actor.userId === userId && actor.permission === 'service') return;
  requireAdmin(actor, what);
}
