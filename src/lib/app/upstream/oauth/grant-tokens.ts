import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  claimRenewal,
  endRenewal,
  findGrant,
  refuseGrant,
  renewGrant,
  type SealedGrant,
  type UpstreamGrant,
  wantScopes,
} from '../../../domain/mcp/index.ts';
import type { Database } from '../../../infra/database/connection.ts';
import { AppError, ForbiddenError, UpstreamUnavailableError } from '../../../shared/errors.ts';
import type { UserId } from '../../../shared/ids.ts';
import type { Sealer } from '../sealing.ts';
import { ownTokens, refreshed, revoke, scopesToAsk } from './protocol.ts';
import { openTokens, sealTokens } from './sealed.ts';
import { isFor, type OAuthServer, type OAuthServers } from './servers.ts';

/** Of a sign-in what says which form of it was used. */
export type GrantInUse = Pick<UpstreamGrant, 'id' | 'revision' | 'scopes'>;

/** What a request to a server takes along. */
export interface TokenInUse {
  readonly accessToken: string;
  /** The same for as long as it is the same sign-in, however often its token is renewed. */
  readonly key: string;
  /** For how long it may be used without another look, in ms. */
  readonly goodMs: number;
  /** Undefined for a token of the instance's own. */
  readonly grant: GrantInUse | undefined;
}

/** A token is renewed so long before its end, or at half of its life, whatever is later, in ms. */
const marginMs = 60_000;
/** One that says nothing of its end is looked at again after so long, in ms. */
const unknownMs = 300_000;
/**
 * How long one process has a renewal for itself, in seconds: longer than its requests can take together, since a refresh
 * token that is used twice may be taken for stolen.
 */
const renewalSeconds = 90;
/** For how long the others wait for it, and how often they look, in ms. */
const waitMs = 25_000;
const lookMs = 100;
/** How long after a renewal that failed the next one is tried, while the token is still good, in ms. */
const retryMs = 10_000;

export interface GrantTokensDeps {
  readonly database: Pick<Database, 'query'>;
  readonly secrets: Sealer;
  readonly servers: OAuthServers;
  readonly externalUrl: string;
}

/** The tokens of sign-ins at servers elsewhere, renewed in time: by one process, however many need them. */
export class GrantTokens {
  readonly servers: OAuthServers;
  readonly #deps: GrantTokensDeps;

  constructor(deps: GrantTokensDeps) {
    this.#deps = deps;
    this.servers = deps.servers;
  }

  /**
   * @throws ForbiddenError with `reason: 'credentials_missing'` and where to sign in; UpstreamFailedError and
   *   UpstreamUnavailableError when the authorization server gives nothing; DatabaseUnavailableError
   */
  async tokenFor(server: OAuthServer, userId: UserId | undefined): Promise<TokenInUse> {
    if (server.byItself) return await this.#own(server);
    const owner = { server: server.name, userId: server.auth.per === 'shared' ? undefined : userId };
    const asked = server.auth.per === 'user' && userId === undefined;
    const deadline = performance.now() + waitMs;
    for (;;) {
      const grant = asked ? undefined : await findGrant(this.#deps.database, owner);
      if (grant === undefined) throw this.#missing(server, 'sign_in');
      const token = await this.#of(server, grant);
      if (token !== undefined) return token;
      if (performance.now() > deadline) {
        throw new UpstreamUnavailableError(`The sign-in at ${server.name} could not be renewed in time.`);
      }
    }
  }

  /** The token of a sign-in, renewed if its time has come; undefined after which the sign-in is another one. */
  async #of(server: OAuthServer, grant: SealedGrant): Promise<TokenInUse | undefined> {
    if (grant.state === 'refused' || !isFor(server, grant)) throw this.#missing(server, 'sign_in_again');
    if (grant.expiresAt === undefined) return await this.#use(grant, unknownMs);
    const left = grant.expiresAt.getTime() - Date.now();
    const early = Math.min(marginMs, (grant.expiresAt.getTime() - grant.issuedAt.getTime()) / 2);
    if (left > early) return await this.#use(grant, left - early);
    if (!grant.refreshable && left <= 0) throw this.#missing(server, 'sign_in_again');
    if (!grant.refreshable) return await this.#use(grant, left);
    if (await claimRenewal(this.#deps.database, grant, renewalSeconds)) {
      const renewed = await this.#renew(server, grant, left > 0);
      // What could not be renewed is used to its end.
      return renewed ? undefined : await this.#use(grant, Math.min(left, retryMs));
    }
    // Another process is at it; what is still good is used meanwhile.
    if (left > 2_000) return await this.#use(grant, 1_000);
    await sleep(lookMs);
    return undefined;
  }

  /** The server elsewhere did not take the token (401). */
  async refused(grant: GrantInUse): Promise<void> {
    await refuseGrant(this.#deps.database, grant);
  }

  /** The server elsewhere asks for more (403, `insufficient_scope`). */
  async wanted(grant: GrantInUse, scopes: readonly string[]): Promise<void> {
    const more = scopes.filter((scope) => !grant.scopes.includes(scope));
    if (more.length > 0) await wantScopes(this.#deps.database, grant.id, more);
  }

  async #use(grant: SealedGrant, goodMs: number): Promise<TokenInUse> {
    const { accessToken } = await openTokens(this.#deps.secrets, grant);
    const { id, revision, scopes } = grant;
    const key = hash('sha256', `grant ${id}`, 'base64url');
    return { accessToken, key, goodMs: Math.max(0, goodMs), grant: { id, revision, scopes } };
  }

  /**
   * @param spare whether the token there is can be used when this fails
   * @returns whether the sign-in is another one now: renewed, or lost
   */
  async #renew(server: OAuthServer, grant: SealedGrant, spare: boolean): Promise<boolean> {
    const { database, secrets } = this.#deps;
    try {
      const { refreshToken = '' } = await openTokens(secrets, grant);
      const as = await this.servers.metadata(server, grant.issuer);
      const client = await this.servers.client(database, server, as);
      // A refresh token is good for the client that it was given to, and for no other.
      if (client.id !== grant.clientId) {
        await endRenewal(database, grant, true);
        return true;
      }
      const party = { http: server.http, as, client, resource: grant.resource };
      const next = await refreshed(party, refreshToken, grant.scopes);
      const sealed = await sealTokens(secrets, grant, next);
      const kept = { scopes: next.scopes, sealed, refreshable: true, seconds: next.seconds };
      // Whoever disconnected meanwhile had the token before it revoked: this one is good still.
      if (!(await renewGrant(database, grant, kept))) await revoke(party, next.refreshToken ?? next.accessToken);
      return true;
    } catch (error) {
      const lost = error instanceof AppError && error.data['oauth_error'] === 'invalid_grant';
      await endRenewal(database, grant, lost);
      if (!lost && !spare) throw error;
      return lost;
    }
  }

  async #own(server: OAuthServer): Promise<TokenInUse> {
    const { resource, as, scopes: said } = await this.servers.discover(server);
    const client = await this.servers.client(this.#deps.database as Database, server, as);
    const scopes = scopesToAsk(server.auth.scopes, said, [], { ...as, scopes_supported: [] });
    const tokens = await ownTokens({ http: server.http, as, client, resource }, scopes);
    const life = (tokens.seconds ?? unknownMs / 1_000) * 1_000;
    const key = hash('sha256', `client ${server.name} ${client.id}`, 'base64url');
    return { accessToken: tokens.accessToken, key, goodMs: life - Math.min(marginMs, life / 2), grant: undefined };
  }

  #missing({ name, auth }: OAuthServer, reason: 'sign_in' | 'sign_in_again'): ForbiddenError {
    const url = `${this.#deps.externalUrl}/auth/account#servers`;
    const again = reason === 'sign_in' ? '' : ' again';
    const shared = auth.per === 'shared';
    return new ForbiddenError(
      shared
        ? `An administrator has to sign in at ${name}${again}.`
        : `The server ${name} needs you to sign in${again}.`,
      {
        hint: shared ? `It is done on their account page, ${url}.` : `Connect it on your account page, ${url}.`,
        next: [`plugins mcp connect ${name}`],
        data: { reason: 'credentials_missing', server: name, credentials: [reason], url },
      },
    );
  }
}
