import { errors, type KoaContextWithOIDC, type ResourceServer as ResourceInfo } from 'oidc-provider';
import type { UserId } from '../../shared/ids.ts';
import { isPermission } from '../../shared/permission.ts';
import type { Entitlements, Permitted } from '../access/entitlements.ts';
import type { ResourceServer, ResourceServers } from '../resources.ts';
import { guarded } from './unavailable.ts';

/** Scopes that are about who somebody is, and no resource's. */
export const oidcScopes = ['openid', 'offline_access', 'profile', 'email'] as const;
const aboutPerson: ReadonlySet<string> = new Set(oidcScopes);

/** Where a request says what it wants: what it leaves out is filled in there. */
const requestRoutes = new Set(['authorization', 'pushed_authorization_request', 'device_authorization']);

/** Which key signs tokens for an audience. */
export type KidFor = (audience: string) => string;

/** What a client gets at which resource, by what the user may do at that moment. */
export class ResourcePolicy {
  readonly #resources: ResourceServers;
  readonly #entitlements: Entitlements;
  /** Of one request: it is asked several times within it, and all of its answers must be of one moment. */
  readonly #asked = new WeakMap<object, Map<string, Promise<Permitted>>>();
  /** Requests that named no scope of a resource. */
  readonly #unnamed = new WeakSet<object>();

  constructor(deps: { readonly resources: ResourceServers; readonly entitlements: Entitlements }) {
    this.#resources = deps.resources;
    this.#entitlements = deps.entitlements;
  }

  /** @throws InvalidTarget for what is no resource here, or not for that client */
  resource(audience: string, clientId: string | undefined): ResourceServer {
    const resource = this.#resources.byAudience(audience);
    if (resource === undefined) throw new errors.InvalidTarget('there is no such resource');
    if (resource.clients !== undefined && (clientId === undefined || !resource.clients.includes(clientId))) {
      throw new errors.InvalidTarget('this client is not allowed at the resource');
    }
    return resource;
  }

  /** What a user may let a client do at a resource. */
  permitted(ctx: object, userId: string, clientId: string, resource: ResourceServer): Promise<Permitted> {
    const asked = this.#asked.get(ctx) ?? new Map<string, Promise<Permitted>>();
    this.#asked.set(ctx, asked);
    const key = `${userId} ${clientId} ${resource.audience}`;
    const known = asked.get(key);
    if (known !== undefined) return known;
    const answer = guarded(() => this.#entitlements.permittedScopes({ userId: userId as UserId, clientId }, resource));
    asked.set(key, answer);
    return answer;
  }

  /** A resource as oidc-provider is told of it: with those of its scopes that the user may have. */
  async info(ctx: KoaContextWithOIDC, audience: string, clientId: string, kidFor: KidFor): Promise<ResourceInfo> {
    const { oidc } = ctx;
    const resource = this.resource(audience, clientId);
    if (resource.requireDpop && oidc.route === 'token' && ctx.get('DPoP') === '') {
      throw new errors.InvalidRequest('this resource takes bound tokens only: send a DPoP proof');
    }
    if (requestRoutes.has(oidc.route)) this.#fillIn(ctx, resource);
    const names = resource.scopes.map((scope) => scope.name);
    const userId = oidc.account?.accountId ?? oidc.session?.accountId;
    const permitted = userId === undefined ? undefined : (await this.permitted(ctx, userId, clientId, resource)).scopes;
    return {
      scope: names.filter((name) => permitted?.has(name) ?? true).join(' '),
      audience: resource.audience,
      accessTokenTTL: resource.tokenTtlSeconds,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg: 'ES256', kid: kidFor(resource.audience) } },
    };
  }

  /**
   * The resource of a request that names none: that of its scopes, where only one has them all. Clients from before
   * RFC 8707 name none; a token that is good everywhere is not to be had.
   * @throws InvalidTarget when it can't be told
   */
  defaultResource(ctx: KoaContextWithOIDC): string | undefined {
    const scopes = [...ctx.oidc.requestParamScopes].filter((scope) => !aboutPerson.has(scope));
    if (scopes.length === 0 && ctx.oidc.requestParamScopes.has('openid')) return undefined;
    const named = scopes.filter((scope) => !isPermission(scope));
    const fitting = this.#resources
      .all()
      .filter((resource) => scopes.every((scope) => resource.scopes.some(({ name }) => name === scope)));
    // A virtual server has the scopes of its targets too: what only it has makes it the one that is meant.
    const direct = fitting.filter(({ askedBy }) => askedBy === undefined);
    const [only, ...others] = direct.length > 0 ? direct : fitting;
    if (named.length > 0 && only !== undefined && others.length === 0) return only.audience;
    throw new errors.InvalidTarget('say which resource the token is for: add the parameter resource (RFC 8707)');
  }

  /** Names the ordinary scopes where a request names none of the resource's (MCP clients may leave them out). */
  #fillIn({ oidc }: KoaContextWithOIDC, resource: ResourceServer): void {
    const { params } = oidc;
    if (params === undefined) return;
    const asked = [...oidc.requestParamScopes];
    if (asked.every((scope) => aboutPerson.has(scope))) this.#unnamed.add(oidc);
    if (!this.#unnamed.has(oidc)) return;
    params['scope'] = [...new Set([...asked, ...resource.defaultScopes])].join(' ');
  }
}
