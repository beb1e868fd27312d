import { FetchRefusedError, type GuardedFetch } from '../../../infra/http/guarded-fetch.ts';
import { UpstreamFailedError, UpstreamUnavailableError } from '../../../shared/errors.ts';
import { unreached } from '../../bridge/external/failures.ts';

/** How large an answer of an authorization server may be, in bytes, and how long it may take, in ms. */
const maxBytes = 256 * 1024;
const timeoutMs = 10_000;

/** The headers of an answer that anybody here reads. */
const read = ['content-type', 'www-authenticate'] as const;

/** What one server elsewhere, and the authorization server that it names, are asked by. */
export interface UpstreamHttp {
  /** Whether http and addresses that are not public are let through. */
  readonly privateNetwork: boolean;
  /**
   * As `fetch`, but for GET and POST alone.
   * @throws UpstreamFailedError with `data.reason` `address_refused` for an address that is never connected to, else what a
   *   server that can't be reached is
   */
  fetch(
    url: string,
    init?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string },
  ): Promise<Response>;
}

/** Every request goes by the guard: addresses are what a stranger named. */
export function upstreamHttp(guarded: GuardedFetch, privateNetwork: boolean): UpstreamHttp {
  return {
    privateNetwork,
    fetch: async (url, { headers = {}, body } = {}) => {
      const bounds = { maxBytes, timeoutMs, privateNetwork, headers, ...(body === undefined ? {} : { body }) };
      const answer = await guarded(url, bounds).catch((thrown: unknown) => {
        throw isRefused(thrown) ? unreached(thrown) : unavailable();
      });
      const told = new Headers();
      for (const name of read) {
        const value = answer.headers.get(name);
        if (value !== null) told.set(name, value);
      }
      // These have no body by definition, and a Response refuses one.
      const empty = [204, 205, 304].includes(answer.status);
      return new Response(empty ? null : new Uint8Array(answer.body), { status: answer.status, headers: told });
    },
  };
}

/** JSON of an object; undefined for anything else. */
export async function jsonOf(answer: Response): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = await answer.json();
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // no JSON: the caller says what was wanted
  }
}

/** Why no token can be had, in words of ours: what a stranger answers is not repeated. */
export function refused(
  message: string,
  reason: string,
  hint?: string,
  more: Readonly<Record<string, unknown>> = {},
): UpstreamFailedError {
  return new UpstreamFailedError(message, { data: { reason, ...more }, ...(hint === undefined ? {} : { hint }) });
}

function isRefused(thrown: unknown): boolean {
  return thrown instanceof FetchRefusedError || (thrown instanceof Error && isRefused(thrown.cause));
}

function unavailable(): UpstreamUnavailableError {
  return new UpstreamUnavailableError('The server elsewhere, or who signs in for it, can’t be reached.', {
    hint: 'Try again in a while.',
    data: { reason: 'unreachable' },
  });
}
