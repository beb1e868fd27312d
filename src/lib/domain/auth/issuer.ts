import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { ForbiddenError, UsageError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { covers, isPermission, type Permission } from '../../shared/permission.ts';
import { type ActorClaim, type Claims, scopeSchema } from './claims.ts';
import { type KeyService, signatureAlgorithm } from './keys.ts';
import type { TokenPolicies } from './policy.ts';

/** Longest life of a token that a program gets on behalf of a caller, in seconds. */
const delegatedTtlSeconds = 60;

/** What the issuer must know of a user. */
export interface TokenUser {
  readonly id: UserId;
  readonly name: string;
  readonly status: 'active' | 'suspended' | 'deleted';
  readonly roles: readonly Permission[];
  /** Counts what was taken away: stands in the token, and makes it void with the next time. */
  readonly accessVersion?: number | undefined;
}

export interface IssueRequest {
  readonly user: TokenUser;
  readonly sessionId: SessionId;
  /** The one resource that will accept the token (RFC 8707). */
  readonly audience: string;
  readonly scopes: readonly string[];
  /**
   * What the user may have of that resource at this moment, from `Entitlements`. Without it there are the tiers that the
   * roles imply, and for an admin whatever is asked for.
   */
  readonly permitted?: { readonly scopes: ReadonlySet<string>; readonly accessVersion: number } | undefined;
  /** 1 to the configured maximum. */
  readonly ttlSeconds: number;
  /** The client that gets it. */
  readonly client: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
  readonly audience: string;
  readonly scopes: readonly string[];
}

/** Issues access tokens as JWTs after RFC 9068. */
export class TokenIssuer {
  readonly #keys: KeyService;
  readonly #issuer: string;
  readonly #policies: TokenPolicies | undefined;
  readonly maxTtlSeconds: number;

  constructor(deps: {
    readonly keys: KeyService;
    readonly issuer: string;
    readonly maxTtlSeconds: number;
    readonly policies?: TokenPolicies | undefined;
  }) {
    this.#policies = deps.policies;
    this.#keys = deps.keys;
    this.#issuer = deps.issuer;
    this.maxTtlSeconds = deps.maxTtlSeconds;
  }

  /**
   * Whether a token may be issued. It never holds more than the user may have: tiers by the hierarchy of roles, scopes
   * with a name of their own where they are open or granted.
   * @throws ForbiddenError when more is asked for, or the user is suspended; UsageError for a wrong life or scope
   */
  check(request: Omit<IssueRequest, 'sessionId'>): void {
    const { user, scopes } = request;
    this.#assertTtl(request.ttlSeconds, this.maxTtlFor(request.audience));
    if (user.status !== 'active') {
      throw new ForbiddenError(`The user ${user.name} is ${user.status}`, { data: { user: user.name } });
    }
    if (!scopes.every((scope) => scopeSchema.safeParse(scope).success)) {
      throw new UsageError('A scope is printable ASCII without spaces and quotes', { data: { scopes } });
    }
    const { permitted } = request;
    const refused = scopes.filter((scope) =>
      permitted === undefined ? !byRoles(user.roles, scope) : !permitted.scopes.has(scope),
    );
    if (refused.length === 0) return;
    throw new ForbiddenError(`${user.name} may not have: ${refused.join(', ')}`, {
      hint: `The roles of ${user.name} are: ${user.roles.join(', ') || 'none'}. Ask for no more than they imply and what was granted.`,
      data: { refused, roles: user.roles },
    });
  }

  /** A token for one audience. @throws what `check` throws */
  async issue(request: IssueRequest): Promise<IssuedToken> {
    this.check(request);
    const { user } = request;
    const scopes = [...new Set(request.scopes)];
    const now = Math.floor(Date.now() / 1000);
    const accessVersion = request.permitted?.accessVersion ?? user.accessVersion;
    const times = { iat: now, exp: now + request.ttlSeconds };
    return this.#sign({ ...request, sub: user.id, name: user.name, scopes, accessVersion, ...times });
  }

  /**
   * A token with which a program acts for a caller at another resource: the caller's scopes and session, at most 60 s,
   * and never longer than the caller's own.
   */
  delegate(claims: Claims, audience: string, ttlSeconds: number = delegatedTtlSeconds): Promise<IssuedToken> {
    if (ttlSeconds > delegatedTtlSeconds)
      throw new UsageError(`A delegated token lives ${delegatedTtlSeconds} s at most`);
    this.#assertTtl(ttlSeconds, this.maxTtlFor(audience));
    const now = Math.floor(Date.now() / 1000);
    const exp = Math.min(now + ttlSeconds, claims.exp);
    return this.#sign({ ...claims, sessionId: claims.sid, audience, iat: now, exp });
  }

  /** The longest life of a token for that resource, in seconds. */
  maxTtlFor(audience: string): number {
    return Math.min(this.#policies?.byAudience(audience)?.tokenTtlSeconds ?? this.maxTtlSeconds, this.maxTtlSeconds);
  }

  #assertTtl(seconds: number, max: number): void {
    if (Number.isInteger(seconds) && seconds >= 1 && seconds <= max) return;
    throw new UsageError(`A token for this resource lives 1 to ${max} seconds`, {
      hint: `Give a whole number of seconds, ${max} at most.`,
      data: { ttlSeconds: seconds, max },
    });
  }

  async #sign(what: {
    readonly sub: UserId;
    readonly name: string;
    readonly sessionId: SessionId;
    readonly client: string;
    readonly audience: string;
    readonly scopes: readonly string[];
    readonly accessVersion?: number | undefined;
    readonly iat: number;
    readonly exp: number;
    readonly act?: ActorClaim | undefined;
    readonly authTime?: number | undefined;
  }): Promise<IssuedToken> {
    const own = this.#policies?.byAudience(what.audience)?.ownKey === true;
    const { kid, key } = await this.#keys.signingKey(own ? what.audience : undefined);
    const token = await new SignJWT({
      client_id: what.client,
      scope: what.scopes.join(' '),
      sid: what.sessionId,
      name: what.name,
      ...(what.accessVersion === undefined ? {} : { access_version: what.accessVersion }),
      ...(what.authTime === undefined ? {} : { auth_time: what.authTime }),
      ...(what.act === undefined ? {} : { act: what.act }),
    })
      .setProtectedHeader({ alg: signatureAlgorithm, typ: 'at+jwt', kid })
      .setIssuer(this.#issuer)
      .setAudience(what.audience)
      .setSubject(what.sub)
      .setJti(randomUUID())
      .setIssuedAt(what.iat)
      .setExpirationTime(what.exp)
      .sign(key);
    return { token, expiresAt: new Date(what.exp * 1000), audience: what.audience, scopes: what.scopes };
  }
}

function byRoles(roles: readonly Permission[], scope: string): boolean {
  return isPermission(scope) ? covers(roles, scope) : roles.includes('admin');
}
