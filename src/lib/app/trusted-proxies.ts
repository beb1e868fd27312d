import { createSecretKey } from 'node:crypto';
import {
  authenticate,
  type BearerRequest,
  type Claims,
  isProxied,
  type ProxyKey,
  proxySession,
  refuseProxied,
  type TokenVerifier,
  takeNonce,
  verifyProxied,
} from '../domain/auth/index.ts';
import type { McpServerConfig } from '../domain/mcp/index.ts';
import type { Profile } from '../infra/config/profile.ts';
import type { ProxySettings } from '../infra/config/profile-proxies.ts';
import { resolveSecretReference, type SecretStore } from '../infra/config/secrets.ts';
import type { Queryable } from '../infra/database/connection.ts';
import { NotFoundError, PreconditionError, UsageError } from '../shared/errors.ts';
import type { UserId } from '../shared/ids.ts';
import { DatabaseEntitlements } from './access/entitlements.ts';
import type { Identity } from './identity.ts';
import { type ResourceServers, resourceServers } from './resources.ts';

/** HMAC-SHA256 keys shorter than its output weaken it (RFC 2104 section 3). */
const minKeyBytes = 32;

/** Who sent a request. */
export interface Sender {
  readonly claims: Claims;
  /** The digest that the body must have; undefined where nobody vouched for one. */
  readonly bodyDigest?: string | undefined;
  readonly proxied: boolean;
}

/** Reads the keys of the configured proxies. @throws PreconditionError for one that is too short */
async function proxyKeys(
  proxies: readonly ProxySettings[],
  secrets: Pick<SecretStore, 'require'>,
): Promise<ReadonlyMap<string, ProxyKey>> {
  const keys = new Map<string, ProxyKey>();
  for (const { id, key, max_age_seconds: maxAgeSeconds } of proxies) {
    const bytes = Buffer.from(await resolveSecretReference(key, secrets), 'utf8');
    if (bytes.length < minKeyBytes) {
      throw new PreconditionError(`The key of the proxy ${id} has ${bytes.length} bytes; it needs ${minKeyBytes}`, {
        hint: 'Make one with `openssl rand -base64 48`, and give it to the proxy too.',
        next: ['cloud secrets list'],
        data: { proxy: id },
      });
    }
    keys.set(id, { id, key: createSecretKey(bytes), maxAgeSeconds });
  }
  return keys;
}

/** The proxies that the profile trusts; undefined when it trusts none. @throws PreconditionError, and what secrets throw */
export async function openTrustedProxies(
  { profile, servers, secrets }: ProxyConfiguration,
  database: Queryable,
  identity: Pick<Identity, 'users' | 'addresses'>,
): Promise<TrustedProxies | undefined> {
  const { proxies, access_token_ttl_seconds: maxTtlSeconds } = profile.security;
  if (proxies.length === 0) return undefined;
  const { externalUrl, issuer } = identity.addresses;
  return new TrustedProxies({
    keys: await proxyKeys(proxies, secrets),
    database,
    entitlements: new DatabaseEntitlements(database),
    users: identity.users,
    resources: resourceServers(servers, { externalUrl, maxTtlSeconds }),
    issuer,
  });
}

/** What the configuration says of proxies, and whom they lead to. */
export interface ProxyConfiguration {
  readonly profile: Pick<Profile, 'security'>;
  readonly servers: readonly McpServerConfig[];
  readonly secrets: Pick<SecretStore, 'require' | 'get'>;
}

/** Proxies in front of the API whose signed word on who calls is taken. */
export class TrustedProxies {
  readonly #keys: ReadonlyMap<string, ProxyKey>;
  readonly #database: Queryable;
  readonly #entitlements: Pick<DatabaseEntitlements, 'permittedScopes'>;
  readonly #users: Pick<Identity['users'], 'get'>;
  readonly #resources: Pick<ResourceServers, 'byAudience'>;
  readonly #issuer: string;

  constructor(deps: {
    readonly keys: ReadonlyMap<string, ProxyKey>;
    readonly database: Queryable;
    readonly entitlements: Pick<DatabaseEntitlements, 'permittedScopes'>;
    readonly users: Pick<Identity['users'], 'get'>;
    readonly resources: Pick<ResourceServers, 'byAudience'>;
    readonly issuer: string;
  }) {
    this.#keys = deps.keys;
    this.#database = deps.database;
    this.#entitlements = deps.entitlements;
    this.#users = deps.users;
    this.#resources = deps.resources;
    this.#issuer = deps.issuer;
  }

  /**
   * The caller that a proxy vouches for, with no more than the user may have at that resource. Role, status and grants are read at each request.
   * @throws UnauthenticatedError `proxy` when the word of the proxy does not hold, `unbound` where callers have to prove a key
   *   (RFC 9449); DatabaseUnavailableError
   */
  async identify(request: BearerRequest & { readonly method?: string | undefined }, audience: string): Promise<Sender> {
    const said = verifyProxied(request, this.#keys);
    const resource = this.#resources.byAudience(audience);
    if (resource === undefined) throw refuseProxied();
    // Nothing that a caller could show here binds the call to a key of the caller.
    if (resource.requireDpop) throw refuseProxied('unbound');
    const client = `proxy:${said.proxyId}`;
    const userId = said.userId as UserId;
    if (!(await takeNonce(this.#database, said.proxyId, said.nonce, said.until))) throw refuseProxied();
    const { active, scopes, accessVersion } = await this.#entitlements.permittedScopes(
      { userId, clientId: client },
      resource,
    );
    if (!active) throw refuseProxied();
    const [user, sid] = await Promise.all([this.#user(userId), proxySession(this.#database, userId, client)]);
    const claims: Claims = {
      iss: this.#issuer,
      aud: audience,
      sub: userId,
      name: user.name,
      sid,
      client,
      jti: said.nonce,
      scopes: said.permissions.filter((scope) => scopes.has(scope)),
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(said.until / 1000),
      accessVersion,
    };
    return { claims, bodyDigest: said.bodyDigest, proxied: true };
  }

  async #user(id: UserId): Promise<{ readonly name: string }> {
    try {
      return await this.#users.get(id);
    } catch (error) {
      if (error instanceof NotFoundError) throw refuseProxied();
      throw error;
    }
  }
}

/**
 * Who sent a request: by its token, or by the signed word of a trusted proxy. Where no proxy is trusted its headers say nothing.
 * @throws what `authenticate` and `TrustedProxies.identify` throw; UsageError for a request that comes with both
 */
export async function identify(
  verifier: Pick<TokenVerifier, 'verify'>,
  proxies: Pick<TrustedProxies, 'identify'> | undefined,
  request: BearerRequest & { readonly method?: string | undefined },
  audience: string,
): Promise<Sender> {
  if (proxies === undefined || !isProxied(request)) {
    return { claims: await authenticate(verifier, request, audience), proxied: false };
  }
  if (request.rawHeaders.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'authorization')) {
    throw new UsageError('A request comes with a token or through a proxy that vouches for its caller, not with both', {
      data: { reason: 'invalid_request' },
    });
  }
  return proxies.identify(request, audience);
}
