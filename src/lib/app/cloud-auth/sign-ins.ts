import type { TokenEndpointResponse } from 'openid-client';
import { z } from 'zod';
import type { InstanceSignIn, InstanceTokens, NewSignIn, SignInStore } from '../../infra/config/sign-in-store.ts';
import { AppError, PreconditionError, UnauthenticatedError } from '../../shared/errors.ts';
import { oauthError, refused } from './grants.ts';
import { authorizationServer, cliClientId, help, type InstanceServer, unavailable } from './server.ts';

/** A token that ends sooner is renewed before it is used, in ms. */
const renewBeforeMs = 30_000;
const requestTimeoutMs = 15_000;
const clockToleranceSeconds = 5;

const claimsSchema = z.object({
  sub: z.string(),
  name: z.string(),
  client_id: z.string(),
  scope: z.string(),
  sid: z.string(),
  exp: z.number(),
});

/** Who a verified token says that we are. */
export interface WhoAmI {
  readonly origin: string;
  readonly issuer: string;
  readonly resource: string;
  readonly user: string;
  readonly userId: string;
  readonly client: string;
  readonly scopes: readonly string[];
  readonly session: string;
  /** Of the access token, which is renewed while it is used; ISO 8601, UTC. */
  readonly expiresAt: string;
}

type Known = InstanceSignIn & { readonly tokens: InstanceTokens };

/** The sign-ins of this user to instances: kept, used, renewed and ended. */
export class CloudSignIns {
  readonly #store: SignInStore;

  constructor(store: SignInStore) {
    this.#store = store;
  }

  /**
   * Keeps what a grant came to, after its token was verified; the former sign-in to that instance is ended.
   * @throws PreconditionError for a token that is not what was asked for
   */
  async keep(
    server: InstanceServer,
    by: 'browser' | 'device',
    granted: TokenEndpointResponse,
  ): Promise<InstanceSignIn> {
    const { access_token: access, refresh_token: refresh } = granted;
    const tokens = { access, ...(refresh === undefined ? {} : { refresh }) };
    const who = await verified(access, server);
    return await this.#store.exclusively(server.origin, async () => {
      const former = await this.#store.find(server.origin).catch(() => undefined); // what can't be read is replaced
      const kept = await this.#store.save(server.origin, signInOf(who, tokens, { by, signedInAt: new Date() }));
      // The new one is safe: that the old one could not be ended is no reason to fail.
      if (former !== undefined && former.session !== kept.session)
        await revoke(former, server.origin).catch(() => undefined);
      return kept;
    });
  }

  /**
   * A token that is good now, renewed if it has to be.
   * @param stale one that was refused: it is renewed, unless another command has done so meanwhile
   * @throws UnauthenticatedError when nobody is signed in there, or the server ended it
   */
  async token(origin: string, stale?: string): Promise<string> {
    const known = await this.#store.find(origin);
    if (known === undefined) throw notSignedIn(origin);
    if (known.tokens.access !== stale && isFresh(known)) return known.tokens.access;
    return await this.#store.exclusively(origin, async () => {
      const now = await this.#store.find(origin);
      if (now === undefined) throw notSignedIn(origin);
      if (now.tokens.access !== stale && isFresh(now)) return now.tokens.access;
      return await this.#renew(origin, now);
    });
  }

  /**
   * Who we are at an instance: by its own word, since it is asked whether it takes the token, and by the token, whose
   * signature is verified.
   * @throws UnauthenticatedError, ApiUnavailableError
   */
  async whoAmI(origin: string): Promise<WhoAmI> {
    let token = await this.token(origin);
    let status = await probe(origin, token);
    if (status === 401) {
      token = await this.token(origin, token);
      status = await probe(origin, token);
    }
    if (status === 401) throw ended(origin);
    if (status !== 200) throw unavailable(origin, new Error(`status ${status}`));
    const known = await this.#store.find(origin);
    if (known === undefined) throw notSignedIn(origin);
    const server = { origin, resource: known.resource, ...(await authorizationServer(known.issuer, origin)) };
    return await verified(token, server);
  }

  /**
   * Ends a sign-in at its server (RFC 7009) and forgets it, also when the server could not be asked.
   * @returns undefined when nobody was signed in there
   */
  async end(origin: string): Promise<{ readonly signIn: InstanceSignIn; readonly failure?: AppError } | undefined> {
    return await this.#store.exclusively(origin, async () => {
      const signIn = (await this.#store.list()).get(origin);
      if (signIn === undefined) return undefined;
      const failure = await this.#store
        .find(origin)
        .then((known) => known && revoke(known, origin))
        .then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof AppError) return error;
            throw error;
          },
        );
      await this.#store.remove(origin);
      return { signIn, ...(failure === undefined ? {} : { failure }) };
    });
  }

  async #renew(origin: string, known: Known): Promise<string> {
    const { refresh } = known.tokens;
    if (refresh === undefined) throw ended(origin);
    const { refreshTokenGrant } = await import('openid-client');
    const server = { origin, resource: known.resource, ...(await authorizationServer(known.issuer, origin)) };
    const { resource } = known;
    const granted = await refreshTokenGrant(server.config, refresh, { resource }).catch(async (error: unknown) => {
      if (oauthError(error) !== 'invalid_grant') throw refused(error, server);
      await this.#store.remove(origin);
      throw ended(origin, error);
    });
    const tokens = { access: granted.access_token, refresh: granted.refresh_token ?? refresh };
    // Kept before it is looked at: the former refresh token is used up.
    await this.#store.save(origin, { ...factsOf(known), tokens });
    const who = await verified(tokens.access, server);
    await this.#store.save(origin, signInOf(who, tokens, { by: known.by, signedInAt: new Date(known.signedInAt) }));
    return tokens.access;
  }
}

function factsOf({ tokens: _tokens, kept: _kept, ...facts }: Known): Omit<NewSignIn, 'tokens'> {
  return facts;
}

function signInOf(
  who: WhoAmI,
  tokens: InstanceTokens,
  about: { readonly by: 'browser' | 'device'; readonly signedInAt: Date },
): NewSignIn {
  const { origin: _origin, scopes, ...facts } = who;
  return { ...facts, scopes: [...scopes], tokens, by: about.by, signedInAt: about.signedInAt.toISOString() };
}

function isFresh({ expiresAt }: InstanceSignIn): boolean {
  return Date.parse(expiresAt) - renewBeforeMs > Date.now();
}

/** What a token says, after its signature, its issuer and what it is for were verified (RFC 9068 section 4). */
async function verified(
  token: string,
  server: Pick<InstanceServer, 'origin' | 'issuer' | 'resource' | 'jwksUri'>,
): Promise<WhoAmI> {
  const { createRemoteJWKSet, errors, jwtVerify } = await import('jose');
  const { origin, issuer, resource } = server;
  const keys = createRemoteJWKSet(new URL(server.jwksUri), { timeoutDuration: requestTimeoutMs });
  const options = {
    issuer,
    audience: resource,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    clockTolerance: clockToleranceSeconds,
  };
  const { payload } = await jwtVerify(token, keys, options).catch((cause: unknown) => {
    // A key set that could not be read says nothing about the token.
    if (!(cause instanceof errors.JOSEError) || cause instanceof errors.JWKSTimeout) throw unavailable(issuer, cause);
    throw wrongToken(origin, cause);
  });
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success || claims.data.client_id !== cliClientId) throw wrongToken(origin, claims.error);
  const { sub, name, client_id: client, scope, sid, exp } = claims.data;
  return {
    origin,
    issuer,
    resource,
    user: name,
    userId: sub,
    client,
    scopes: scope.split(' '),
    session: sid,
    expiresAt: new Date(exp * 1000).toISOString(),
  };
}

/** How the instance answers to the token. */
async function probe(origin: string, token: string): Promise<number> {
  const response = await fetch(`${origin}/api/v1/mcp/registry`, {
    headers: { authorization: `Bearer ${token}` },
    redirect: 'error',
    signal: AbortSignal.timeout(requestTimeoutMs),
  }).catch((cause: unknown) => {
    throw unavailable(origin, cause);
  });
  await response.body?.cancel();
  return response.status;
}

/** By the refresh token, with which everything goes that came of the sign-in. */
async function revoke(known: Known, origin: string): Promise<void> {
  const { tokenRevocation } = await import('openid-client');
  const { config } = await authorizationServer(known.issuer, origin);
  if (config.serverMetadata().revocation_endpoint === undefined) {
    throw new PreconditionError(`${known.issuer} offers no revocation`, { next: help });
  }
  const { access, refresh } = known.tokens;
  const hint = refresh === undefined ? 'access_token' : 'refresh_token';
  await tokenRevocation(config, refresh ?? access, { token_type_hint: hint }).catch((error: unknown) => {
    throw refused(error, { origin });
  });
}

export function notSignedIn(origin: string): UnauthenticatedError {
  return new UnauthenticatedError(`Not signed in to ${origin}`, {
    next: [`cloud auth login --url ${origin}`],
    data: { instance: origin },
  });
}

function ended(origin: string, cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError(`The sign-in to ${origin} is over`, {
    hint: 'It was ended there, or not used for too long.',
    next: [`cloud auth login --url ${origin}`],
    data: { instance: origin },
    cause,
  });
}

function wrongToken(origin: string, cause: unknown): PreconditionError {
  return new PreconditionError(`The token that ${origin} gave is not what was asked for`, {
    hint: 'The clocks of the two machines may differ, or somebody may be in between.',
    next: help,
    cause,
  });
}
