import { UserService } from '../../domain/users/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { requireAdmin } from '../access/rights.ts';
import { createSetupLink, type SetupLink } from './setup-links.ts';

/**
 * Makes a setup link for a user, by an admin.
 * @param given.handle id, name or mail address; the owner when there is none
 * @throws ForbiddenError, NotFoundError; PreconditionError for who may not sign in with a browser
 */
export async function linkForUser(
  database: Database,
  given: { readonly actor: Actor; readonly externalUrl: string; readonly handle: string | undefined },
): Promise<{ readonly link: SetupLink; readonly user: string }> {
  requireAdmin(given.actor, 'A link for a user');
  const users = new UserService(database);
  const user = given.handle === undefined ? await users.ensureOwner() : await users.find(given.handle);
  if (user.status !== 'active' || user.kind !== 'person') {
    const what = user.kind === 'person' ? `${user.name} is ${user.status}` : `${user.name} is a service account`;
    throw new PreconditionError(`${what}: there is no sign-in with a browser`, {
      data: { user: user.name },
      next: ['admin users list'],
    });
  }
  const createdBy = given.actor.userId;
  return { link: await createSetupLink(database, given.externalUrl, { userId: user.id, createdBy }), user: user.name };
}
