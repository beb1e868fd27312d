import type { AuthorizationServer } from 'oauth4webapi';
import { z } from 'zod';
import { type Challenge, readChallenge, scopesOf } from './challenge.ts';
import { jsonOf, refused, type UpstreamHttp } from './http.ts';

const address = z.string().max(2_000);
const words = z.array(z.string().max(200)).max(1_000);

/** RFC 9728, section 2: as far as it matters here. */
const resourceMetadata = z.object({
  resource: address,
  authorization_servers: z.array(address).max(20).optional(),
  scopes_supported: words.optional(),
});

/** RFC 8414 and OpenID Connect Discovery 1.0, as far as it matters here. */
const serverMetadata = z.object({
  issuer: address,
  authorization_endpoint: address.optional(),
  token_endpoint: address,
  registration_endpoint: address.optional(),
  revocation_endpoint: address.optional(),
  jwks_uri: address.optional(),
  scopes_supported: words.optional(),
  grant_types_supported: words.optional(),
  code_challenge_methods_supported: words.optional(),
  token_endpoint_auth_methods_supported: words.optional(),
  revocation_endpoint_auth_methods_supported: words.optional(),
  id_token_signing_alg_values_supported: words.optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
  client_id_metadata_document_supported: z.boolean().optional(),
});

export type ServerMetadata = AuthorizationServer & Pick<z.output<typeof serverMetadata>, 'token_endpoint'>;

/** Where tokens for a server elsewhere come from. */
export interface Discovered {
  /** As the server calls itself: what tokens are asked for (RFC 8707). */
  readonly resource: string;
  /** Metadata of the authorization server, its issuer checked. */
  readonly as: ServerMetadata;
  /** What the server asks for: by its challenge, else by its metadata; undefined: it doesn't say. */
  readonly scopes: readonly string[] | undefined;
}

export interface Sought {
  /** The address of the MCP server. */
  readonly endpoint: string;
  /** The authorization server that is configured. */
  readonly issuer?: string | undefined;
}

/**
 * Finds out where tokens for a server come from (MCP 2025-11-25 and 2026-07-28, authorization server discovery).
 * @throws UpstreamFailedError with `data.reason` when nothing is found or what is found does not hold; FetchRefusedError
 */
export async function discover(http: UpstreamHttp, { endpoint, issuer }: Sought): Promise<Discovered> {
  const challenge = await challengeAt(http, endpoint);
  const metadata = await resourceAt(http, endpoint, challenge.metadata);
  if (metadata !== undefined && !isResourceOf(metadata.resource, endpoint)) {
    throw refused(
      'The metadata of the server elsewhere is that of another resource.',
      'resource_mismatch',
      'Tokens for it could be used elsewhere: none is asked for.',
    );
  }
  const named = metadata?.authorization_servers ?? [];
  if (issuer !== undefined && named.length > 0 && !named.includes(issuer)) {
    throw refused(
      'The server elsewhere names another authorization server than the one that is configured.',
      'issuer_mismatch',
      'Look at `upstream_auth.issuer`.',
    );
  }
  // A server without metadata is its own authorization server (MCP 2025-03-26).
  const as = await serverAt(http, issuer ?? named[0] ?? new URL(endpoint).origin);
  const listed = metadata?.scopes_supported;
  const scopes = challenge.scopes ?? (listed === undefined ? undefined : scopesOf(listed.join(' ')));
  return { resource: metadata?.resource ?? withoutFragment(endpoint), as, scopes };
}

/** What the server answers to a request without a token. */
async function challengeAt(http: UpstreamHttp, endpoint: string): Promise<Challenge> {
  const ping = { jsonrpc: '2.0', id: 0, method: 'ping' };
  const answer = await http.fetch(endpoint, {
    headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify(ping),
  });
  return answer.status === 401 ? readChallenge(answer.headers.get('www-authenticate')) : {};
}

/** RFC 9728: where the challenge says, else below the well-known paths, of the endpoint before those of its origin. */
async function resourceAt(http: UpstreamHttp, endpoint: string, told: string | undefined) {
  const { origin, pathname } = new URL(endpoint);
  const known = `${origin}/.well-known/oauth-protected-resource`;
  const path = pathname.replace(/\/$/, '');
  const places = told === undefined ? [...new Set([`${known}${path}`, known])] : [told];
  for (const place of places) {
    const answer = await http.fetch(asUrl(place, 'The address of its metadata is none.'));
    if (answer.status >= 500) throw unreadable('The server elsewhere', answer.status);
    const found = answer.status === 200 ? await jsonOf(answer) : undefined;
    if (found === undefined) continue;
    const parsed = resourceMetadata.safeParse(found);
    if (parsed.success) return parsed.data;
    throw refused('The metadata of the server elsewhere can’t be read.', 'metadata_invalid');
  }
  if (told !== undefined)
    throw refused('The metadata that the server elsewhere names is not there.', 'metadata_missing');
  return undefined;
}

/**
 * Metadata of an authorization server by its issuer.
 * @throws UpstreamFailedError when there is none, or it is of another issuer
 */
export async function serverAt(http: UpstreamHttp, issuer: string): Promise<ServerMetadata> {
  for (const place of placesOf(asUrl(issuer, 'The issuer is no address.'))) {
    const answer = await http.fetch(place);
    if (answer.status >= 500) throw unreadable('The authorization server', answer.status);
    const found = answer.status === 200 ? await jsonOf(answer) : undefined;
    if (found === undefined) continue;
    const parsed = serverMetadata.safeParse(found);
    if (!parsed.success) throw refused('The metadata of the authorization server can’t be read.', 'metadata_invalid');
    // RFC 8414, section 3.3: identical, not merely alike. Else one server would speak for another.
    if (parsed.data.issuer !== issuer) {
      throw refused('The metadata of the authorization server is that of another issuer.', 'issuer_mismatch');
    }
    const as = parsed.data as ServerMetadata;
    checkEndpoints(http, as);
    return as;
  }
  throw refused('The authorization server publishes no metadata.', 'metadata_missing');
}

/** RFC 8414 section 3.1, and both forms of OpenID Connect Discovery where the issuer has a path. */
function placesOf(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const oauth = `${origin}/.well-known/oauth-authorization-server${path}`;
  const oidc = `${origin}/.well-known/openid-configuration`;
  return path === '' ? [oauth, oidc] : [oauth, `${oidc}${path}`, `${origin}${path}/.well-known/openid-configuration`];
}

/** A browser is sent there, and secrets are: by https to the public, unless an admin allows the own network. */
function checkEndpoints({ privateNetwork }: UpstreamHttp, as: ServerMetadata): void {
  const { authorization_endpoint, token_endpoint, registration_endpoint, revocation_endpoint } = as;
  for (const one of [authorization_endpoint, token_endpoint, registration_endpoint, revocation_endpoint]) {
    if (one === undefined) continue;
    const url = URL.parse(one);
    const secure = url?.protocol === 'https:' || (privateNetwork && url?.protocol === 'http:');
    if (!secure || url?.username !== '' || url.password !== '') {
      throw refused('The authorization server names an address that is not https.', 'address_refused');
    }
  }
}

/** Whether metadata of a resource is about the endpoint: the same origin, and its path or one above. */
export function isResourceOf(resource: string, endpoint: string): boolean {
  const said = URL.parse(resource);
  const ours = new URL(endpoint);
  if (said === null || said.origin !== ours.origin || said.hash !== '') return false;
  const path = (url: URL) => (url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`);
  return path(ours).startsWith(path(said));
}

function asUrl(text: string, otherwise: string): string {
  if (URL.canParse(text)) return text;
  throw refused(otherwise, 'metadata_invalid');
}

function withoutFragment(endpoint: string): string {
  const url = new URL(endpoint);
  url.hash = '';
  return url.href;
}

function unreadable(who: string, status: number) {
  return refused(`${who} answered with status ${status} when it was asked for its metadata.`, 'metadata_unavailable');
}
