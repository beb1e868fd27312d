import type { McpServerConfig, UpstreamAuthConfig, UpstreamGrant } from '../../../domain/mcp/index.ts';
import { serverSecretName } from '../../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../../infra/config/secrets.ts';
import type { Queryable } from '../../../infra/database/connection.ts';
import { createGuardedFetch, type GuardedFetch } from '../../../infra/http/guarded-fetch.ts';
import { PreconditionError } from '../../../shared/errors.ts';
import { clientAt, type Presentation, type UpstreamClient } from './client.ts';
import { type Discovered, discover, isResourceOf, type ServerMetadata, serverAt } from './discovery.ts';
import { type UpstreamHttp, upstreamHttp } from './http.ts';
import { keptClients } from './sealed.ts';

export type OAuthConfig = UpstreamAuthConfig & { readonly type: 'oauth' };

/** A server elsewhere whose tokens come from an authorization server. */
export interface OAuthServer {
  readonly name: string;
  readonly displayName: string;
  readonly endpoint: string;
  readonly auth: OAuthConfig;
  readonly http: UpstreamHttp;
  /** Whether the instance gets tokens by itself, and nobody signs in. */
  readonly byItself: boolean;
}

export interface OAuthServersDeps {
  readonly servers: readonly McpServerConfig[];
  readonly secrets: Pick<SecretStore, 'get' | 'seal' | 'open'>;
  /** The address of the API, without a slash at its end. */
  readonly externalUrl: string;
  readonly fetch?: GuardedFetch;
}

/** Whether a sign-in is one at this server as it is configured now: at another address its tokens are a stranger's. */
export function isFor(
  { endpoint, auth }: Pick<OAuthServer, 'endpoint' | 'auth'>,
  grant: Pick<UpstreamGrant, 'resource' | 'issuer'>,
): boolean {
  return isResourceOf(grant.resource, endpoint) && (auth.issuer === undefined || auth.issuer === grant.issuer);
}

/** How long what an authorization server published is believed, in ms. */
const believedMs = 300_000;

/** The servers elsewhere that take tokens, and how the instance presents itself where those come from. */
export class OAuthServers {
  readonly #servers: ReadonlyMap<string, OAuthServer>;
  readonly #deps: OAuthServersDeps;
  readonly #known = new Map<string, { readonly as: Promise<ServerMetadata>; readonly until: number }>();

  constructor(deps: OAuthServersDeps) {
    this.#deps = deps;
    const guarded = deps.fetch ?? createGuardedFetch();
    this.#servers = new Map(
      deps.servers.flatMap(({ name, displayName, enabled, external }) => {
        if (!enabled || external?.auth.type !== 'oauth') return [];
        const { endpoint, auth, privateNetwork } = external;
        const byItself = auth.per === 'shared' && auth.clientSecret !== undefined;
        const http = upstreamHttp(guarded, privateNetwork);
        return [[name, { name, displayName, endpoint, auth, http, byItself }] as const];
      }),
    );
  }

  get all(): readonly OAuthServer[] {
    return [...this.#servers.values()];
  }

  get(name: string): OAuthServer | undefined {
    return this.#servers.get(name);
  }

  /** Where tokens for a server come from, asked anew. @throws UpstreamFailedError */
  discover({ http, endpoint, auth }: OAuthServer): Promise<Discovered> {
    return discover(http, { endpoint, issuer: auth.issuer });
  }

  /** What an authorization server says of itself, believed for a while. @throws UpstreamFailedError */
  metadata({ http, name }: OAuthServer, issuer: string): Promise<ServerMetadata> {
    const key = `${name} ${issuer}`;
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() < known.until) return known.as;
    const as = serverAt(http, issuer);
    this.#known.set(key, { as, until: performance.now() + believedMs });
    as.catch(() => this.#known.delete(key));
    return as;
  }

  /** What the instance is at an authorization server. @throws UpstreamFailedError when there is no way to be anything */
  async client(connection: Queryable, server: OAuthServer, as: ServerMetadata): Promise<UpstreamClient> {
    return await clientAt(server.http, as, await this.#presentation(connection, server));
  }

  /** The addresses under which one server's sign-ins come back, and where it is told who we are. */
  addresses(name: string) {
    const { externalUrl } = this.#deps;
    const base = `${externalUrl}/auth/servers/${encodeURIComponent(name)}`;
    return { redirectUri: `${base}/callback`, documentUrl: `${base}/client.json`, home: externalUrl };
  }

  async #presentation(connection: Queryable, { name, auth }: OAuthServer): Promise<Presentation> {
    const { clientId: id, clientSecret } = auth;
    const store = keptClients(connection, this.#deps.secrets, name);
    const common = { ...this.addresses(name), store };
    if (id === undefined) return common;
    return { ...common, configured: { id, secret: await this.#secret(name, clientSecret) } };
  }

  async #secret(server: string, name: string | undefined): Promise<string | undefined> {
    if (name === undefined) return undefined;
    const { secrets } = this.#deps;
    const value = (await secrets.get(serverSecretName(server, name))) ?? (await secrets.get(name));
    if (value !== undefined) return value;
    throw new PreconditionError(`The secret ${name} of ${server} is not set`, {
      next: [`cloud secrets set ${name} --server ${server}`],
    });
  }
}
