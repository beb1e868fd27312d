import { setTimeout as delay } from 'node:timers/promises';
import type { TokenEndpointResponse } from 'openid-client';
import { LoopbackCallback } from '../../infra/http/loopback-callback.ts';
import { AppError, CancelledError, ForbiddenError, PreconditionError, TimeoutError } from '../../shared/errors.ts';
import { help, type InstanceServer, unavailable } from './server.ts';

/** As long as the server keeps what was begun. */
const browserTimeoutMs = 10 * 60_000;

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

/** Where a person signs in, for whoever shows it. */
export interface DeviceCode {
  readonly userCode: string;
  readonly address: string;
  /** The same with the code in it. */
  readonly completeAddress: string | undefined;
  /** Seconds. */
  readonly expiresIn: number;
}

export interface SignInWish {
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Authorization code with PKCE, answered on loopback (RFC 6749, 7636, 8252).
 * @param open shows the person the address; it need not wait
 * @throws ForbiddenError when the person said no; TimeoutError; CancelledError; ApiUnavailableError; PreconditionError for
 *   an answer that is not to what was asked
 */
export async function grantByBrowser(
  server: InstanceServer,
  wish: SignInWish,
  open: (url: URL) => Promise<void>,
): Promise<TokenEndpointResponse> {
  const client = await import('openid-client');
  const { config, resource } = server;
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  await using callback = await LoopbackCallback.listen();
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: callback.redirectUri,
    scope: wish.scopes.join(' '),
    resource,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const answered = callback.answer(
    async (url) => {
      // Ours always say who answers (RFC 9207): an answer that does not is another's, whatever the metadata asks for.
      if (url.searchParams.get('iss') !== server.issuer) throw notAnAnswer('it is not from the server that was asked');
      const checks = { pkceCodeVerifier: verifier, expectedState: state };
      return await client.authorizationCodeGrant(config, url, checks, { resource }).catch((error: unknown) => {
        throw refused(error, server);
      });
    },
    { timeoutMs: browserTimeoutMs, signal: wish.signal },
  );
  answered.catch(() => undefined); // it is waited for below, after the browser was opened
  await open(address);
  return await answered;
}

/**
 * Device authorization (RFC 8628): the person signs in wherever there is a browser.
 * @param show tells the person code and address
 * @param pollSeconds between two questions, where the server names none
 * @throws as {@link grantByBrowser}
 */
export async function grantByDevice(
  server: InstanceServer,
  wish: SignInWish,
  show: (code: DeviceCode) => void,
  pollSeconds = 5,
): Promise<TokenEndpointResponse> {
  const client = await import('openid-client');
  const { config, resource } = server;
  const given = await client
    .initiateDeviceAuthorization(config, { scope: wish.scopes.join(' '), resource })
    .catch((error: unknown) => {
      throw refused(error, server);
    });
  show({
    userCode: given.user_code,
    address: given.verification_uri,
    completeAddress: given.verification_uri_complete,
    expiresIn: given.expires_in,
  });
  const form = { device_code: given.device_code, resource };
  const deadline = performance.now() + given.expires_in * 1000;
  let interval = given.interval ?? pollSeconds;
  // Not the library's own loop: that one sleeps through an interruption.
  while (performance.now() < deadline) {
    await delay(interval * 1000, undefined, { signal: wish.signal }).catch(() => {
      throw new CancelledError('Interrupted');
    });
    try {
      return await client.genericGrantRequest(config, deviceGrant, form);
    } catch (error) {
      const code = oauthError(error);
      // RFC 8628 section 3.5.
      if (code === 'slow_down') interval += 5;
      else if (code !== 'authorization_pending') throw refused(error, server);
    }
  }
  throw tooLate();
}

function tooLate(cause?: unknown): TimeoutError {
  return new TimeoutError('Nobody entered the code in time', {
    hint: 'Begin again: a code is good for some minutes.',
    next: help,
    cause,
  });
}

/** The `error` of an OAuth answer (RFC 6749 sections 4.1.2.1 and 5.2), if it is one. */
export function oauthError(error: unknown): string | undefined {
  const code = (error as { error?: unknown } | undefined)?.error;
  return error instanceof Error && typeof code === 'string' ? code : undefined;
}

/** What went wrong, in our words; of what a server or a browser sent nothing but the name of the error is quoted. */
export function refused(error: unknown, { origin }: Pick<InstanceServer, 'origin'>): AppError {
  if (error instanceof AppError) return error;
  const code = oauthError(error)
    ?.replace(/[^a-z_]/g, '')
    .slice(0, 60);
  const cause = error;
  switch (code) {
    case undefined:
      break;
    case 'access_denied':
      return new ForbiddenError(`The sign-in to ${origin} was refused`, {
        hint: 'Whoever was asked said no, or may have nothing of what was asked for.',
        data: { error: code },
        next: help,
        cause,
      });
    case 'expired_token':
      return tooLate(cause);
    case 'temporarily_unavailable':
    case 'server_error':
      return unavailable(origin, cause);
    default:
      return new PreconditionError(`${origin} refused the sign-in: ${code}`, {
        hint: code === 'invalid_scope' ? 'Ask for scopes that the instance has.' : 'Its log says why.',
        data: { error: code },
        next: help,
        cause,
      });
  }
  const network = error instanceof TypeError || (error as Error | undefined)?.name === 'TimeoutError';
  if (network && !('code' in (error as object) && String((error as { code?: unknown }).code).startsWith('OAUTH_'))) {
    return unavailable(origin, cause);
  }
  return notAnAnswer('it does not fit what was asked', cause);
}

function notAnAnswer(why: string, cause?: unknown): PreconditionError {
  return new PreconditionError(`The answer that came was refused: ${why}`, {
    hint: 'Sign in again; if it is so again, somebody may be in between.',
    data: { reason: 'answer' },
    next: help,
    cause,
  });
}
