import { createHmac } from 'node:crypto';
import type { Configuration, IDToken } from 'openid-client';
import {
  deleteFederated,
  type FederatedIdentity,
  federatedOf,
  findPersonByMail,
  hasSignedIn,
  insertFederated,
  insertPerson,
  insertStep,
  recordIdentityEvent,
  type Step,
  takeStep,
  useFederated,
} from '../../domain/auth/index.ts';
import type { FederationProvider } from '../../infra/config/profile-federation.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import {
  ConflictError,
  ForbiddenError,
  NotFoundError,
  UnauthenticatedError,
  UpstreamFailedError,
} from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { normaliseMailAddress } from '../../shared/mail-address.ts';
import { type BrowserSession, type BrowserSessions, requireRecent } from './browser-sessions.ts';
import { type CookieRequest, type CookieResponse, hashOf, randomValue } from './cookies.ts';
import type { SignedIn } from './mail-links.ts';
import { recentMinutes } from './passkeys.ts';
import type { Throttle } from './throttle.ts';

/** How long the way there and back may take, in seconds. */
const wayTtlSeconds = 600;
/** How long what a provider published is believed, in ms, and how long it gets to answer, in seconds. */
const discoveryMs = 600_000;
const timeoutSeconds = 10;

/** A provider with its secret in place. */
export type ReadyProvider = FederationProvider;

/** What the way back came to. */
export interface FederationResult extends SignedIn {
  /** Whether the identity was linked with who was signed in already. */
  readonly linked: boolean;
}

interface Known {
  readonly config: Promise<Configuration>;
  readonly at: number;
}

/**
 * Sign-in by other providers (OpenID Connect, authorization code with PKCE). Whoever comes back is who issuer and
 * subject say; a mail address only ever finds a user who was invited by it and has never signed in.
 */
export class Federation {
  readonly #providers: ReadonlyMap<string, ReadyProvider>;
  readonly #externalUrl: string;
  readonly #database: Database;
  readonly #sessions: BrowserSessions;
  readonly #throttle: Throttle;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #known = new Map<string, Known>();

  constructor(deps: {
    readonly providers: readonly ReadyProvider[];
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
    this.#log = deps.log;
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
    const { buildAuthorizationUrl, calculatePKCECodeChallenge } = await import('openid-client');
    const config = await this.#configuration(provider);
    const browser = this.#sessions.browser(request, response);
    const state = randomValue();
    await insertStep(this.#database, {
      purpose: 'federation',
      hash: hashOf(state),
      browser: hashOf(browser),
      userId: given.link?.userId,
      provider: id,
      returnTo: given.returnTo,
      ttlSeconds: wayTtlSeconds,
    });
    return buildAuthorizationUrl(config, {
      redirect_uri: this.#redirectUri(id),
      scope: [...new Set(['openid', ...provider.scopes])].join(' '),
      state,
      nonce: derived(browser, state, 'nonce'),
      code_challenge: await calculatePKCECodeChallenge(derived(browser, state, 'verifier')),
      code_challenge_method: 'S256',
      // Whoever links an identity, or proves to be there, is asked there too.
      ...(given.link === undefined ? {} : { prompt: 'login' }),
    }).href;
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
    const claims = await this.#claims(provider, url, state, browser).catch(async (cause: unknown) => {
      await this.#failed(id, address, 'answer');
      throw cause;
    });
    const result = await this.#finish(request, response, provider, claims, step, address);
    await this.#throttle.forgive('federation', { address });
    return result;
  }

  /** What a user is linked with. */
  list(userId: UserId): Promise<FederatedIdentity[]> {
    return federatedOf(this.#database, userId);
  }

  /** Unlinks an identity; browser sessions that were begun with it end. @throws NotFoundError */
  async unlink(session: BrowserSession, id: string, address?: string): Promise<void> {
    requireRecent(session, recentMinutes);
    await this.#database.transaction(async (tx) => {
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
    provider: ReadyProvider,
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
        if (known === undefined) await this.#link(tx, provider, claims, current.userId, address);
        return { session: current, returnTo, linked: true };
      }
      const identity = known ?? (await this.#admit(tx, provider, claims, address));
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

  /** Who comes for the first time: an invited user who never signed in, or somebody of a domain that makes users. */
  async #admit(
    tx: Queryable,
    provider: ReadyProvider,
    claims: IDToken,
    address: string | undefined,
  ): Promise<FederatedIdentity | undefined> {
    if (provider.create_users === 'never') return undefined;
    // An address that nobody has verified is whatever its holder wrote there.
    const mail =
      claims['email_verified'] === true && typeof claims['email'] === 'string'
        ? normaliseMailAddress(claims['email'])
        : undefined;
    if (mail === undefined) return undefined;
    const user = await findPersonByMail(tx, mail);
    if (user !== undefined) {
      if (await hasSignedIn(tx, user.id)) return undefined;
      return this.#link(tx, provider, claims, user.id, address);
    }
    const domain = mail.slice(mail.lastIndexOf('@') + 1);
    if (provider.create_users !== 'domains' || !provider.domains.includes(domain)) return undefined;
    const given = claims['name'];
    const displayName = typeof given === 'string' ? cleanName(given) : '';
    for (let attempt = 0; attempt < 5; attempt++) {
      const person = { name: userName(mail, attempt), mail, displayName: displayName || mail };
      const created = await insertPerson(tx, person);
      if (created === undefined) continue;
      const data = { created: true, provider: provider.id, roles: ['user'] };
      await recordIdentityEvent(tx, { type: 'user_changed', userId: created, address, data });
      return this.#link(tx, provider, claims, created, address);
    }
    return undefined;
  }

  async #link(
    tx: Queryable,
    provider: ReadyProvider,
    claims: IDToken,
    userId: UserId,
    address: string | undefined,
  ): Promise<FederatedIdentity> {
    const label = [claims['email'], claims['preferred_username'], claims['name']].find(
      (value): value is string => typeof value === 'string' && value !== '',
    );
    const linked = await insertFederated(tx, {
      userId,
      issuer: claims.iss,
      subject: claims.sub,
      provider: provider.id,
      label: label === undefined ? undefined : cleanName(label),
    });
    if (linked === undefined) throw taken();
    const data = { provider: provider.id, issuer: claims.iss };
    await recordIdentityEvent(tx, { type: 'federation_linked', userId, address, data });
    return linked;
  }

  /** What the provider says of who came back, once everything about the answer holds. */
  async #claims(provider: ReadyProvider, url: URL, state: string, browser: string): Promise<IDToken> {
    const { authorizationCodeGrant, AuthorizationResponseError } = await import('openid-client');
    const config = await this.#configuration(provider);
    try {
      // Checks `iss` of the answer (RFC 9207), state, nonce, the verifier, and the ID token with its signer.
      const tokens = await authorizationCodeGrant(config, url, {
        expectedState: state,
        expectedNonce: derived(browser, state, 'nonce'),
        pkceCodeVerifier: derived(browser, state, 'verifier'),
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new Error('The answer has no ID token');
      return claims;
    } catch (cause) {
      if (cause instanceof AuthorizationResponseError) {
        const hint = 'Try again, or sign in another way.';
        const message = `${provider.name} did not sign you in`;
        throw new UnauthenticatedError(message, { cause, hint, data: { reason: 'provider', error: cause.error } });
      }
      this.#log.warn({ err: cause, provider: provider.id }, 'The answer of a provider does not hold');
      throw new UnauthenticatedError(`What ${provider.name} answered does not hold`, {
        cause,
        hint: 'Try again, or sign in another way.',
        data: { reason: 'provider' },
      });
    }
  }

  #configuration(provider: ReadyProvider): Promise<Configuration> {
    const known = this.#known.get(provider.id);
    if (known !== undefined && performance.now() - known.at < discoveryMs) return known.config;
    const config = discover(provider).catch((cause: unknown) => {
      this.#known.delete(provider.id);
      this.#log.warn({ err: cause, provider: provider.id }, 'A provider can not be reached');
      const hint = 'Try again in a while, or sign in another way.';
      throw new UpstreamFailedError(`${provider.name} does not answer`, { cause, hint });
    });
    this.#known.set(provider.id, { config, at: performance.now() });
    return config;
  }

  #provider(id: string): ReadyProvider {
    const provider = this.#providers.get(id);
    if (provider === undefined) throw new NotFoundError('There is no such provider');
    return provider;
  }

  #redirectUri(id: string): string {
    return `${this.#externalUrl}/auth/federation/${id}/callback`;
  }

  async #failed(provider: string, address: string | undefined, reason: string): Promise<void> {
    const data = { method: 'federation', provider, reason };
    await recordIdentityEvent(this.#database, { type: 'sign_in_failed', address, data });
  }
}

async function discover(provider: ReadyProvider): Promise<Configuration> {
  const { allowInsecureRequests, ClientSecretPost, discovery, None } = await import('openid-client');
  const issuer = new URL(provider.issuer);
  return discovery(
    issuer,
    provider.client_id,
    {},
    provider.client_secret === undefined ? None() : ClientSecretPost(provider.client_secret),
    {
      timeout: timeoutSeconds,
      // The schema takes http for this machine alone.
      ...(issuer.protocol === 'http:' ? { execute: [allowInsecureRequests] } : {}),
    },
  );
}

/** Nonce and verifier come of what the browser carries: the database has nothing that a thief of the code could use. */
function derived(browser: string, state: string, what: 'nonce' | 'verifier'): string {
  return createHmac('sha256', browser).update(`federation ${what} ${state}`).digest('base64url');
}

function cleanName(name: string): string {
  return name
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
    .toWellFormed();
}

/** A user's name from a mail address; with a number when that one is taken. */
function userName(mail: string, attempt: number): string {
  const local = mail
    .slice(0, mail.lastIndexOf('@'))
    .replace(/[^a-z0-9._-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 50);
  const base = local === '' ? 'user' : local;
  return attempt === 0
    ? base
    : `${base}-${randomValue()
        .replace(/[^a-z0-9]/g, '')
        .slice(0, 6)}`;
}

function lost(): UnauthenticatedError {
  return new UnauthenticatedError('This sign-in was begun elsewhere, or too long ago', {
    hint: 'Begin it again in this browser.',
    data: { reason: 'state' },
  });
}

function taken(): ConflictError {
  return new ConflictError('This account is linked with another user already');
}

function notInvited({ name }: ReadyProvider): ForbiddenError {
  return new ForbiddenError(`Nobody here is linked with this account of ${name}`, {
    hint: 'Sign in another way and link it on your account page, or ask an administrator to invite you.',
    data: { reason: 'not_linked' },
  });
}
