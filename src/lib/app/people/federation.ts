import type { IDToken } from 'openid-client';
import {
  deleteFederated,
  type FederatedIdentity,
  federatedOf,
  insertStep,
  recordIdentityEvent,
  type Step,
  takeStep,
  useFederated,
} from '../../domain/auth/index.ts';
import type { FederationProvider } from '../../infra/config/profile-federation.ts';
import { type Database, withActor } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { ForbiddenError, NotFoundError, UnauthenticatedError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { type BrowserSession, type BrowserSessions, requireRecent } from './browser-sessions.ts';
import { type CookieRequest, type CookieResponse, hashOf, randomValue } from './cookies.ts';
import { admit, linkIdentity, taken } from './federation-admit.ts';
import { FederationClient } from './federation-client.ts';
import type { SignedIn } from './mail-links.ts';
import { recentMinutes } from './passkeys.ts';
import type { Throttle } from './throttle.ts';

/** How long the way there and back may take, in seconds. */
const wayTtlSeconds = 600;

/** What the way back came to. */
export interface FederationResult extends SignedIn {
  /** Whether the identity was linked with who was signed in already. */
  readonly linked: boolean;
}

/**
 * Sign-in by other providers (OpenID Connect, authorization code with PKCE). Whoever comes back is who issuer and
 * subject say; a mail address only ever finds a user who was invited by it and has never signed in.
 */
export class Federation {
  readonly #providers: ReadonlyMap<string, FederationProvider>;
  readonly #externalUrl: string;
  readonly #database: Database;
  readonly #sessions: BrowserSessions;
  readonly #throttle: Throttle;
  readonly #client: FederationClient;

  constructor(deps: {
    readonly providers: readonly FederationProvider[];
    readonly externalUrl: string;
    readonly database: Database;
    readonly sessions: BrowserSessions;
    readonly throttle: Throttle;
    readonly log: Pick<Logger, 'warn'>;
  }) {
    this.#providers = new Map(deps.providers.map((provider) => [provider.id, provider]));
    this.#externalUrl = deps.externalUrl;
    this.#database = deps.database;
    this.#sessions = deps.sessions;
    this.#throttle = deps.throttle;
    const redirectUri = (id: string): string => `${deps.externalUrl}/auth/federation/${id}/callback`;
    this.#client = new FederationClient(redirectUri, deps.log);
  }

  /** What the sign-in page offers. */
  get providers(): { readonly id: string; readonly name: string }[] {
    return [...this.#providers.values()].map(({ id, name }) => ({ id, name }));
  }

  /**
   * Where the browser goes to sign in at a provider. Begun by a press of a button alone, never by an address.
   * @param given.link who is signed in and wants the identity there linked
   * @throws NotFoundError, UpstreamFailedError when the provider does not answer, RateLimitedError
   */
  async start(
    request: CookieRequest,
    response: CookieResponse,
    id: string,
    given: {
      readonly returnTo?: string | undefined;
      readonly link?: BrowserSession | undefined;
      readonly address?: string | undefined;
    } = {},
  ): Promise<string> {
    const provider = this.#provider(id);
    if (given.link !== undefined) requireRecent(given.link, recentMinutes);
    await this.#throttle.take('federation', { address: given.address });
    const browser = this.#sessions.browser(request, response);
    const state = randomValue();
    // Whoever links an identity proves there to be there. A provider that does not answer leaves no step behind.
    const url = await this.#client.authorizationUrl(provider, state, browser, given.link !== undefined);
    await insertStep(this.#database, {
      purpose: 'federation',
      hash: hashOf(state),
      browser: hashOf(browser),
      userId: given.link?.userId,
      provider: id,
      returnTo: given.returnTo,
      ttlSeconds: wayTtlSeconds,
    });
    return url;
  }

  /**
   * Takes the way back: signs in who comes, or links who was signed in.
   * @param url path and query of the request
   * @throws UnauthenticatedError or ForbiddenError, with what to do; UpstreamFailedError; RateLimitedError
   */
  async callback(
    request: CookieRequest,
    response: CookieResponse,
    id: string,
    given: { readonly url: string; readonly address?: string | undefined },
  ): Promise<FederationResult> {
    const provider = this.#provider(id);
    const { address } = given;
    await this.#throttle.take('federation', { address });
    const url = new URL(given.url, this.#externalUrl);
    const states = url.searchParams.getAll('state');
    const [state] = states;
    const browser = this.#sessions.cookies.browser.read(request);
    const step =
      states.length === 1 && state !== undefined && browser !== undefined
        ? await takeStep(this.#database, {
            purposes: ['federation'],
            hash: hashOf(state),
            browser: hashOf(browser),
          })
        : undefined;
    // Each provider has a way back of its own: an answer on another's was mixed up, or is meant to be (RFC 9700 4.4).
    if (step === undefined || state === undefined || browser === undefined || step.provider !== id) {
      await this.#failed(id, address, step === undefined ? 'state' : 'mix_up');
      throw lost();
    }
    const claims = await this.#client.claims(provider, url, state, browser).catch(async (cause: unknown) => {
      await this.#failed(id, address, 'answer');
      throw cause;
    });
    const result = await this.#finish(request, response, provider, claims, step, address);
    await this.#throttle.forgive('federation', { address });
    return result;
  }

  /** What a user is linked with. */
  list(userId: UserId): Promise<FederatedIdentity[]> {
    return withActor(this.#database, userId, (tx) => federatedOf(tx, userId));
  }

  /** Unlinks an identity; browser sessions that were begun with it end. @throws NotFoundError */
  async unlink(session: BrowserSession, id: string, address?: string): Promise<void> {
    requireRecent(session, recentMinutes);
    await withActor(this.#database, session.userId, async (tx) => {
      const removed = await deleteFederated(tx, session.userId, id);
      if (removed === undefined) throw new NotFoundError('You are not linked with this');
      const { userId, sessionId } = session;
      const data = { provider: removed.provider, unlinked: true };
      await recordIdentityEvent(tx, { type: 'federation_linked', userId, sessionId, address, data });
    });
  }

  async #finish(
    request: CookieRequest,
    response: CookieResponse,
    provider: FederationProvider,
    claims: IDToken,
    step: Step,
    address: string | undefined,
  ): Promise<FederationResult> {
    const current = step.userId === undefined ? undefined : await this.#sessions.current(request);
    if (step.userId !== undefined && current?.userId !== step.userId) throw lost();
    const { returnTo } = step;
    return this.#database.transaction(async (tx) => {
      const known = await useFederated(tx, claims.iss, claims.sub);
      if (current !== undefined) {
        if (known !== undefined && known.userId !== current.userId) throw taken();
        if (known === undefined) await linkIdentity(tx, provider, claims, current.userId, address);
        return { session: current, returnTo, linked: true };
      }
      const identity = known ?? (await admit(tx, provider, claims, address));
      if (identity === undefined) throw notInvited(provider);
      const session = await this.#sessions.begin(
        request,
        response,
        { userId: identity.userId, methods: ['federation'], federatedId: identity.id },
        tx,
      );
      const { userId, sessionId } = session;
      const data = { method: 'federation', provider: provider.id };
      await recordIdentityEvent(tx, { type: 'sign_in', userId, sessionId, address, data });
      return { session, returnTo, linked: false };
    });
  }

  #provider(id: string): FederationProvider {
    const provider = this.#providers.get(id);
    if (provider === undefined) throw new NotFoundError('There is no such provider');
    return provider;
  }

  async #failed(provider: string, address: string | undefined, reason: string): Promise<void> {
    const data = { method: 'federation', provider, reason };
    await recordIdentityEvent(this.#database, { type: 'sign_in_failed', address, data });
  }
}

function lost(): UnauthenticatedError {
  return new UnauthenticatedError('This sign-in was begun elsewhere, or too long ago', {
    hint: 'Begin it again in this browser.',
    data: { reason: 'state' },
  });
}

function notInvited({ name }: FederationProvider): ForbiddenError {
  return new ForbiddenError(`Nobody here is linked with this account of ${name}`, {
    hint: 'Sign in another way and link it on your account page, or ask an administrator to invite you.',
    data: { reason: 'not_linked' },
  });
}
