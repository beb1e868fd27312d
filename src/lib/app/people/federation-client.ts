import { createHmac } from 'node:crypto';
import type { Configuration, IDToken } from 'openid-client';
import type { FederationProvider } from '../../infra/config/profile-federation.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { UnauthenticatedError, UpstreamFailedError } from '../../shared/errors.ts';

/** How long what a provider published is believed, in ms, and how long it gets to answer, in seconds. */
const discoveryMs = 600_000;
const timeoutSeconds = 10;

interface Known {
  readonly config: Promise<Configuration>;
  readonly at: number;
}

/** The protocol's side: where a browser is sent, and what an answer says once everything about it holds. */
export class FederationClient {
  readonly #redirectUri: (id: string) => string;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #known = new Map<string, Known>();

  constructor(redirectUri: (id: string) => string, log: Pick<Logger, 'warn'>) {
    this.#redirectUri = redirectUri;
    this.#log = log;
  }

  /**
   * The provider's address to send the browser to.
   * @param browser what the browser carries, of which nonce and verifier come
   * @param again whether the user is to prove there to be there
   * @throws UpstreamFailedError when the provider does not answer
   */
  async authorizationUrl(
    provider: FederationProvider,
    state: string,
    browser: string,
    again: boolean,
  ): Promise<string> {
    const { buildAuthorizationUrl, calculatePKCECodeChallenge } = await import('openid-client');
    return buildAuthorizationUrl(await this.#configuration(provider), {
      redirect_uri: this.#redirectUri(provider.id),
      scope: [...new Set(['openid', ...provider.scopes])].join(' '),
      state,
      nonce: derived(browser, state, 'nonce'),
      code_challenge: await calculatePKCECodeChallenge(derived(browser, state, 'verifier')),
      code_challenge_method: 'S256',
      ...(again ? { prompt: 'login' } : {}),
    }).href;
  }

  /** What the provider says of who came back, once everything about the answer holds. */
  async claims(provider: FederationProvider, url: URL, state: string, browser: string): Promise<IDToken> {
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

  /** @throws UpstreamFailedError when the provider does not answer */
  #configuration(provider: FederationProvider): Promise<Configuration> {
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
}

async function discover(provider: FederationProvider): Promise<Configuration> {
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
