import { z } from 'zod';
import type { ServerMetadata } from './discovery.ts';
import { jsonOf, refused, type UpstreamHttp } from './http.ts';

export type AuthMethod = 'client_secret_basic' | 'client_secret_post' | 'none';

/** What the instance is known as at an authorization server. */
export interface UpstreamClient {
  readonly id: string;
  readonly secret?: string | undefined;
  readonly method: AuthMethod;
}

/** What the instance has been registered as, and until when. */
export interface RegisteredClient extends UpstreamClient {
  readonly redirectUri: string;
  readonly expiresAt?: Date | undefined;
}

/** Keeps registrations, each at one issuer: none is ever shown to another. */
export interface ClientStore {
  find(issuer: string): Promise<RegisteredClient | undefined>;
  keep(issuer: string, client: RegisteredClient): Promise<void>;
}

/** How the instance presents itself for one server of its fleet. */
export interface Presentation {
  /** Configured by whoever runs the instance. */
  readonly configured?: { readonly id: string; readonly secret?: string | undefined } | undefined;
  readonly redirectUri: string;
  /** Address of our client document. */
  readonly documentUrl: string;
  /** Address of the instance. */
  readonly home: string;
  readonly store: ClientStore;
}

const registered = z.object({
  client_id: z.string().min(1).max(2_000),
  client_secret: z.string().min(1).max(4_000).optional(),
  client_secret_expires_at: z.number().optional(),
  token_endpoint_auth_method: z.string().optional(),
});

/**
 * What we are there: configured, else by our document where the server takes those, else registered (MCP 2025-11-25,
 * client registration approaches).
 * @throws UpstreamFailedError when there is no way
 */
export async function clientAt(http: UpstreamHttp, as: ServerMetadata, us: Presentation): Promise<UpstreamClient> {
  const { configured } = us;
  if (configured !== undefined) {
    const method = configured.secret === undefined ? 'none' : withSecret(as);
    return { id: configured.id, secret: configured.secret, method };
  }
  const document = new URL(us.documentUrl);
  if (as.client_id_metadata_document_supported === true && document.protocol === 'https:') {
    return { id: us.documentUrl, method: 'none' };
  }
  const known = await us.store.find(as.issuer);
  const over = known?.expiresAt !== undefined && known.expiresAt.getTime() < Date.now() + 60_000;
  if (known !== undefined && known.redirectUri === us.redirectUri && !over) return known;
  return register(http, as, us);
}

/** The public document that says who we are (draft-ietf-oauth-client-id-metadata-document). */
export function clientDocument(us: Pick<Presentation, 'redirectUri' | 'documentUrl' | 'home'>) {
  return { client_id: us.documentUrl, ...described(us), token_endpoint_auth_method: 'none' };
}

/** RFC 7591. */
async function register(http: UpstreamHttp, as: ServerMetadata, us: Presentation): Promise<RegisteredClient> {
  if (as.registration_endpoint === undefined) {
    throw refused(
      'The authorization server registers nobody by itself.',
      'registration_missing',
      `Register there with the redirect address ${us.redirectUri}, and write client_id and client_secret into upstream_auth.`,
    );
  }
  const supported = as.token_endpoint_auth_methods_supported;
  const method = supported === undefined || !onlyPublic(supported) ? withSecret(as) : 'none';
  const answer = await http.fetch(as.registration_endpoint, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...described(us), token_endpoint_auth_method: method }),
  });
  const parsed =
    answer.status === 201 || answer.status === 200 ? registered.safeParse(await jsonOf(answer)) : undefined;
  if (parsed?.success !== true) {
    throw refused(
      `The authorization server does not register the instance (${answer.status}).`,
      'registration_refused',
    );
  }
  const { client_id: id, client_secret: secret, client_secret_expires_at: until = 0 } = parsed.data;
  const said = parsed.data.token_endpoint_auth_method;
  const client: RegisteredClient = {
    id,
    ...(secret === undefined ? { method: 'none' } : { secret, method: isMethod(said) ? said : method }),
    redirectUri: us.redirectUri,
    ...(until > 0 ? { expiresAt: new Date(until * 1_000) } : {}),
  };
  await us.store.keep(as.issuer, client);
  return client;
}

function described({ redirectUri, home }: Pick<Presentation, 'redirectUri' | 'home'>) {
  const { hostname } = new URL(redirectUri);
  const local = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
  return {
    client_name: 'systemprompt',
    client_uri: home,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: local ? 'native' : 'web',
  };
}

/** RFC 8414: without a list it is basic. */
function withSecret({ token_endpoint_auth_methods_supported: supported }: ServerMetadata): AuthMethod {
  if (supported === undefined || supported.includes('client_secret_basic')) return 'client_secret_basic';
  return supported.includes('client_secret_post') ? 'client_secret_post' : 'client_secret_basic';
}

function onlyPublic(supported: readonly string[]): boolean {
  return !supported.includes('client_secret_basic') && !supported.includes('client_secret_post');
}

function isMethod(said: string | undefined): said is AuthMethod {
  return said === 'client_secret_basic' || said === 'client_secret_post' || said === 'none';
}
