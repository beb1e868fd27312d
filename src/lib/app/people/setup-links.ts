import {
  federatedOf,
  insertStep,
  passkeysOf,
  recordIdentityEvent,
  type StepPurpose,
  takeStep,
  voidSteps,
} from '../../domain/auth/index.ts';
import type { UserService } from '../../domain/users/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import { UnauthenticatedError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import type { BrowserSession, BrowserSessions } from './browser-sessions.ts';
import { type CookieRequest, type CookieResponse, hashOf, randomValue } from './cookies.ts';
import type { Throttle } from './throttle.ts';

const linkHours = 24;
const purposes: readonly StepPurpose[] = ['setup', 'recovery'];

/** A link that lets somebody in once, so that the first (or the next) passkey can be made. */
export interface SetupLink {
  /** Nobody but its user may see it. */
  readonly url: string;
  readonly expiresAt: Date;
  /** `setup` for who has no passkey yet. */
  readonly purpose: 'setup' | 'recovery';
}

/** Makes a link for a user; those that were made before are worth nothing then. */
export async function createSetupLink(
  database: Database,
  externalUrl: string,
  link: { readonly userId: UserId; readonly createdBy?: UserId | undefined },
): Promise<SetupLink> {
  const token = randomValue();
  const { userId, createdBy } = link;
  return database.transaction(async (tx) => {
    const purpose = (await passkeysOf(tx, userId)).length === 0 ? 'setup' : 'recovery';
    await voidSteps(tx, userId, purposes);
    const expiresAt = await insertStep(tx, {
      purpose,
      hash: hashOf(token),
      userId,
      createdBy,
      ttlSeconds: linkHours * 3600,
    });
    await recordIdentityEvent(tx, { type: 'link_sent', userId, actorId: createdBy, data: { purpose } });
    return { url: `${externalUrl}/auth/owner?token=${token}`, expiresAt, purpose };
  });
}

/** Uses setup links up. */
export class SetupLinks {
  readonly #database: Database;
  readonly #sessions: BrowserSessions;
  readonly #throttle: Throttle;

  constructor(deps: {
    readonly database: Database;
    readonly sessions: BrowserSessions;
    readonly throttle: Throttle;
  }) {
    this.#database = deps.database;
    this.#sessions = deps.sessions;
    this.#throttle = deps.throttle;
  }

  /**
   * Signs in whoever the link is for, and uses it up.
   * @throws UnauthenticatedError, saying the same whatever it was; RateLimitedError
   */
  async redeem(
    request: CookieRequest,
    response: CookieResponse,
    given: { readonly token: string; readonly address?: string | undefined },
  ): Promise<BrowserSession> {
    const { address } = given;
    await this.#throttle.take('setup_link', { address });
    const session = await this.#database.transaction(async (tx) => {
      const step = await takeStep(tx, { purposes, hash: hashOf(given.token) });
      if (step?.userId === undefined) return undefined;
      const { userId, purpose } = step;
      const begun = await this.#sessions.begin(request, response, { userId, methods: ['setup_link'] }, tx);
      const { sessionId } = begun;
      await recordIdentityEvent(tx, { type: 'link_used', userId, sessionId, address, data: { purpose } });
      await recordIdentityEvent(tx, { type: 'sign_in', userId, sessionId, address, data: { method: 'setup_link' } });
      return begun;
    });
    if (session === undefined) {
      const data = { method: 'setup_link', reason: 'link' };
      await recordIdentityEvent(this.#database, { type: 'sign_in_failed', address, data });
      throw new UnauthenticatedError('This link does not work any more', {
        hint: 'It works once, for a day. On the machine of the instance `systemprompt admin users link` makes a new one.',
        data: { reason: 'link' },
      });
    }
    await this.#throttle.forgive('setup_link', { address });
    return session;
  }
}

/** A link for the local owner, as long as the owner has nothing to sign in with at a browser; undefined from then on. */
export async function ownerLink(
  database: Database,
  users: Pick<UserService, 'ensureOwner'>,
  externalUrl: string,
): Promise<SetupLink | undefined> {
  const { id, status } = await users.ensureOwner();
  if (status !== 'active') return undefined;
  const [passkeys, identities] = await Promise.all([passkeysOf(database, id), federatedOf(database, id)]);
  if (passkeys.length > 0 || identities.length > 0) return undefined;
  return createSetupLink(database, externalUrl, { userId: id });
}
