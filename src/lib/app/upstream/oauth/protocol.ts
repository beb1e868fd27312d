import type { ClientAuth, TokenEndpointResponse } from 'oauth4webapi';
import { AppError } from '../../../shared/errors.ts';
import { scopesOf } from './challenge.ts';
import type { UpstreamClient } from './client.ts';
import type { ServerMetadata } from './discovery.ts';
import { refused, type UpstreamHttp } from './http.ts';

/** Tokens as an authorization server gave them. */
export interface UpstreamTokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  /** What they are for, as far as the server says; else what was asked for. */
  readonly scopes: readonly string[];
  /** How long the access token is good, in seconds, where it is told. */
  readonly seconds?: number | undefined;
}

/** For whom tokens are asked: who we are, where, and for which resource. */
export interface TokenParty {
  readonly http: UpstreamHttp;
  readonly as: ServerMetadata;
  readonly client: UpstreamClient;
  readonly resource: string;
}

/** A sign-in that is on its way. */
export interface SignInRequest {
  readonly redirectUri: string;
  readonly state: string;
  readonly verifier: string;
  readonly scopes: readonly string[];
}

/**
 * Which scopes to ask for (MCP 2025-11-25, scope selection; 2026-07-28, refresh tokens and step-up).
 * @param had what was asked for before, and what was wanted since
 */
export function scopesToAsk(
  configured: readonly string[],
  said: readonly string[] | undefined,
  had: readonly string[],
  as: ServerMetadata,
): string[] {
  const base = configured.length > 0 ? configured : (said ?? []);
  const offline = as.scopes_supported?.includes('offline_access') === true ? ['offline_access'] : [];
  return [...new Set([...base, ...had, ...offline])];
}

/**
 * Where a browser is sent to sign in there.
 * @throws UpstreamFailedError when the server does no PKCE by S256 (MCP: clients must refuse to go on)
 */
export async function authorizationUrl(party: TokenParty, request: SignInRequest): Promise<string> {
  const { as, client, resource } = party;
  const { calculatePKCECodeChallenge } = await import('oauth4webapi');
  if (as.authorization_endpoint === undefined) {
    throw refused('The authorization server has no page to sign in at.', 'metadata_invalid');
  }
  if (as.code_challenge_methods_supported?.includes('S256') !== true) {
    throw refused(
      'The authorization server does not protect codes by PKCE (S256).',
      'pkce_missing',
      'Codes could be stolen on their way: nobody is sent there.',
    );
  }
  const url = new URL(as.authorization_endpoint);
  const fields = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: request.redirectUri,
    state: request.state,
    code_challenge: await calculatePKCECodeChallenge(request.verifier),
    code_challenge_method: 'S256',
    resource,
    ...(request.scopes.length === 0 ? {} : { scope: request.scopes.join(' ') }),
    // OpenID Connect Core 1.0, section 11: a refresh token is given with consent alone.
    ...(request.scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
  };
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Tokens for the answer that a browser came back with. Checks state and `iss` (RFC 9207) before anything is sent.
 * @throws UpstreamFailedError with `data.reason`: `denied`, `answer` for one that does not hold, `token_refused`
 */
export async function tokensForCode(party: TokenParty, request: SignInRequest, answer: URL): Promise<UpstreamTokens> {
  const oauth = await import('oauth4webapi');
  const { as, client } = party;
  let checked: URLSearchParams;
  try {
    checked = oauth.validateAuthResponse(as, { client_id: client.id }, answer, request.state);
  } catch (cause) {
    if (cause instanceof oauth.AuthorizationResponseError) {
      throw refused('The authorization server did not let you in.', 'denied', 'Try again, and allow what it asks.');
    }
    // The cause holds the code.
    throw refused('The answer of the authorization server does not hold.', 'answer', 'Begin again.');
  }
  return await taken(request.scopes, async () => {
    const { redirectUri, verifier } = request;
    const authentication = authenticationOf(client);
    const known = { client_id: client.id };
    const sent = await oauth.authorizationCodeGrantRequest(as, known, authentication, checked, redirectUri, verifier, {
      ...(await sending(party)),
      additionalParameters: { resource: party.resource },
    });
    return await oauth.processAuthorizationCodeResponse(as, known, sent);
  });
}

/** @throws UpstreamFailedError with `data.reason` `token_refused`, and `data.oauth_error` where the server names one */
export async function refreshed(party: TokenParty, token: string, scopes: readonly string[]): Promise<UpstreamTokens> {
  const oauth = await import('oauth4webapi');
  const { as, client } = party;
  const known = { client_id: client.id };
  const next = await taken(scopes, async () => {
    const sent = await oauth.refreshTokenGrantRequest(as, known, authenticationOf(client), token, {
      ...(await sending(party)),
      additionalParameters: { resource: party.resource },
    });
    return await oauth.processRefreshTokenResponse(as, known, sent);
  });
  // A server that does not replace it lets it be used again (RFC 6749, section 6).
  return { ...next, refreshToken: next.refreshToken ?? token };
}

/** A token of the instance's own (RFC 6749, section 4.4). @throws UpstreamFailedError as the others */
export async function ownTokens(party: TokenParty, scopes: readonly string[]): Promise<UpstreamTokens> {
  const oauth = await import('oauth4webapi');
  const { as, client, resource } = party;
  const known = { client_id: client.id };
  return await taken(scopes, async () => {
    const fields = { resource, ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) };
    const options = await sending(party);
    const sent = await oauth.clientCredentialsGrantRequest(as, known, authenticationOf(client), fields, options);
    return await oauth.processClientCredentialsResponse(as, known, sent);
  });
}

/** Tells the server that a token is used no more (RFC 7009). @returns whether it could be told */
export async function revoke(party: Omit<TokenParty, 'resource'>, token: string): Promise<boolean> {
  const oauth = await import('oauth4webapi');
  const { as, client } = party;
  if (as.revocation_endpoint === undefined) return false;
  try {
    const known = { client_id: client.id };
    const sent = await oauth.revocationRequest(as, known, authenticationOf(client), token, await sending(party));
    await oauth.processRevocationResponse(sent);
    return true;
  } catch {
    return false; // what is kept here is erased all the same
  }
}

/** A token is believed to be good for so long at most: ten years. One of no time at all would be renewed without end. */
const longestSeconds = 315_360_000;

async function taken(asked: readonly string[], ask: () => Promise<TokenEndpointResponse>): Promise<UpstreamTokens> {
  const { ResponseBodyError, WWWAuthenticateChallengeError } = await import('oauth4webapi');
  let answer: TokenEndpointResponse;
  try {
    answer = await ask();
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    if (thrown instanceof WWWAuthenticateChallengeError) throw tokenRefused('invalid_client');
    // Neither cause nor description is told: they may quote what was sent.
    if (thrown instanceof ResponseBodyError && thrown.status < 500) throw tokenRefused(thrown.error);
    throw refused('The authorization server gives no token.', 'token_unavailable');
  }
  if (answer.token_type !== 'bearer' || !/^[\x21-\x7e]{1,6000}$/.test(answer.access_token)) {
    throw refused('The authorization server gives tokens that can’t be sent.', 'token_refused');
  }
  return {
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token,
    scopes: answer.scope === undefined ? asked : scopesOf(answer.scope),
    seconds: answer.expires_in === undefined ? undefined : Math.min(Math.max(answer.expires_in, 5), longestSeconds),
  };
}

function tokenRefused(said: string) {
  const error = /^[a-z_]{1,40}$/.test(said) ? said : 'refused';
  const message = `The authorization server gives no token (${error}).`;
  return refused(message, 'token_refused', undefined, { oauth_error: error });
}

async function sending({ http }: Pick<TokenParty, 'http'>) {
  const { allowInsecureRequests, customFetch } = await import('oauth4webapi');
  return {
    [allowInsecureRequests]: http.privateNetwork,
    [customFetch]: (url: string, init: { headers: Record<string, string>; body: URLSearchParams }): Promise<Response> =>
      http.fetch(url, { headers: init.headers, body: init.body.toString() }),
  };
}

/** RFC 6749, section 2.3.1. What needs no escape gets none: many servers take id and secret as they stand. */
function authenticationOf({ secret, method }: UpstreamClient): ClientAuth {
  return (_as, { client_id: id }, body, headers) => {
    if (secret === undefined || method === 'none') body.set('client_id', id);
    else if (method === 'client_secret_post') {
      body.set('client_id', id);
      body.set('client_secret', secret);
    } else {
      const pair = [id, secret].map((part) => encodeURIComponent(part).replaceAll('%20', '+')).join(':');
      headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
    }
  };
}
