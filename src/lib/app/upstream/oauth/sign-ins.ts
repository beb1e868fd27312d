import { createHmac, randomUUID } from 'node:crypto';
import { recordIdentityEvent } from '../../../domain/auth/index.ts';
import {
  beginAttempt,
  deleteGrant,
  endMcpSessions,
  findGrant,
  grantsOf,
  putGrant,
  takeAttempt,
  type UpstreamGrant,
} from '../../../domain/mcp/index.ts';
import { type Database, withActor } from '../../../infra/database/connection.ts';
import { ForbiddenError, NotFoundError, PreconditionError, UnauthenticatedError } from '../../../shared/errors.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { CookieRequest, CookieResponse, Cookies } from '../../people/cookies.ts';
import { hashOf, randomValue } from '../../people/cookies.ts';
import type { Sealer } from '../sealing.ts';
import { clientDocument } from './client.ts';
import { authorizationUrl, revoke, scopesToAsk, tokensForCode, type UpstreamTokens } from './protocol.ts';
import { openTokens, sealTokens } from './sealed.ts';
import { isFor, type OAuthServer, type OAuthServers } from './servers.ts';

/** How long the way there and back may take, in seconds. */
const waySeconds = 600;

/** Who signs in, from where, and whether they may for everybody. */
export interface SigningIn {
  readonly userId: UserId;
  readonly sessionId?: SessionId | undefined;
  readonly address?: string | undefined;
  readonly admin: boolean;
}

/** A server that somebody signs in at, as they see it. */
export interface SignInServer {
  readonly server: string;
  readonly displayName: string;
  readonly place: string;
  /** Whether it is for all callers. */
  readonly shared: boolean;
  readonly grant: UpstreamGrant | undefined;
}

export interface UpstreamSignInsDeps {
  readonly database: Pick<Database, 'query' | 'transaction'>;
  readonly sealer: Sealer;
  readonly servers: OAuthServers;
  readonly browser: {
    readonly cookies: Pick<Cookies, 'browser'>;
    browser(request: CookieRequest, response: CookieResponse): string;
  };
}

/**
 * Sign-ins of users at servers elsewhere: begun on a page of ours, ended there, and taken back. Each server has a way back of
 * its own, and what comes by it is bound to the browser, the user and the authorization server that was asked.
 */
export class UpstreamSignIns {
  readonly #deps: UpstreamSignInsDeps;

  constructor(deps: UpstreamSignInsDeps) {
    this.#deps = deps;
  }

  /** The servers that a user signs in at. */
  async list({ userId, admin }: Pick<SigningIn, 'userId' | 'admin'>): Promise<SignInServer[]> {
    const { servers, database } = this.#deps;
    const shown = servers.all.filter(({ auth, byItself }) => !byItself && (auth.per === 'user' || admin));
    if (shown.length === 0) return [];
    const [own, shared] = await Promise.all([
      withActor(database, userId, (tx) => grantsOf(tx, userId)),
      admin ? grantsOf(database, undefined) : [],
    ]);
    return shown.map((one) => {
      const { name, displayName, endpoint, auth } = one;
      const grant = (auth.per === 'shared' ? shared : own).find(({ server }) => server === name);
      return {
        server: name,
        displayName,
        place: new URL(endpoint).origin,
        shared: auth.per === 'shared',
        grant: grant === undefined || isFor(one, grant) ? grant : { ...grant, state: 'refused' },
      };
    });
  }

  /**
   * Where the browser goes to sign in. Begun by a press on a page of ours alone, never by an address.
   * @throws NotFoundError, ForbiddenError, PreconditionError; UpstreamFailedError with `data.reason`
   */
  async start(request: CookieRequest, response: CookieResponse, by: SigningIn, name: string): Promise<string> {
    const { database, servers } = this.#deps;
    const server = this.#server(name, by);
    const { resource, as, scopes: said } = await servers.discover(server);
    const client = await servers.client(database, server, as);
    const before = await findGrant(database, ownerOf(server, by));
    const had = before?.issuer === as.issuer ? [...before.scopes, ...before.wanted] : [];
    const scopes = scopesToAsk(server.auth.scopes, said, had, as);
    const browser = this.#deps.browser.browser(request, response);
    const state = randomValue();
    const { redirectUri } = servers.addresses(name);
    const party = { http: server.http, as, client, resource };
    const url = await authorizationUrl(party, { redirectUri, state, verifier: verifierOf(browser, state), scopes });
    const shared = server.auth.per === 'shared';
    const attempt = {
      userId: by.userId,
      server: name,
      shared,
      issuer: as.issuer,
      resource,
      clientId: client.id,
      scopes,
    };
    await beginAttempt(database, hashOf(state), hashOf(browser), attempt, waySeconds);
    return url;
  }

  /**
   * Takes the way back: keeps the tokens that the answer is good for.
   * @param given.url path and query of the request
   * @throws UnauthenticatedError when it was begun elsewhere, by somebody else or too long ago; UpstreamFailedError
   */
  async callback(request: CookieRequest, by: SigningIn, name: string, given: { readonly url: string }): Promise<void> {
    const { database, servers } = this.#deps;
    const server = this.#server(name, by);
    const { redirectUri } = servers.addresses(name);
    const url = new URL(given.url, redirectUri);
    const states = url.searchParams.getAll('state');
    const [state] = states;
    const browser = this.#deps.browser.cookies.browser.read(request);
    const attempt =
      states.length === 1 && state !== undefined && browser !== undefined
        ? await takeAttempt(database, hashOf(state), hashOf(browser))
        : undefined;
    const shared = server.auth.per === 'shared';
    const own = attempt?.userId === by.userId && attempt.server === name && attempt.shared === shared;
    if (attempt === undefined || state === undefined || browser === undefined || !own) {
      await this.#failed(by, name, attempt === undefined ? 'state' : 'mix_up');
      throw begunElsewhere();
    }
    const { issuer, resource, scopes, clientId } = attempt;
    try {
      const as = await servers.metadata(server, issuer);
      const client = await servers.client(database, server, as);
      if (client.id !== clientId) throw begunElsewhere();
      const sent = { redirectUri, state, verifier: verifierOf(browser, state), scopes };
      const tokens = await tokensForCode({ http: server.http, as, client, resource }, sent, url);
      await this.#keep(server, by, { issuer, resource, clientId, tokens });
    } catch (cause) {
      await this.#failed(by, name, 'answer');
      throw cause;
    }
  }

  /** The public document that says who the instance is to one server. @throws NotFoundError */
  document(name: string): object {
    const { servers } = this.#deps;
    if (servers.get(name) === undefined) throw new NotFoundError('There is no such document');
    return clientDocument(servers.addresses(name));
  }

  /**
   * Erases a sign-in, and has it revoked where there is a way to.
   * @returns whether the server elsewhere knows of it
   * @throws NotFoundError when there is none
   */
  async disconnect(by: SigningIn, name: string): Promise<{ readonly revoked: boolean }> {
    const { database, sealer, servers } = this.#deps;
    const server = servers.get(name);
    const shared = server?.auth.per === 'shared';
    if (shared && !by.admin) throw onlyAdmins(name);
    const owner = { server: name, userId: shared ? undefined : by.userId };
    const gone = await database.transaction(async (tx) => {
      const deleted = await deleteGrant(tx, owner);
      if (deleted === undefined) throw new NotFoundError(`You are not signed in at ${name.slice(0, 80)}`);
      await endMcpSessions(tx, shared ? { server: name } : { userId: by.userId, server: name });
      await recordIdentityEvent(tx, { type: 'server_disconnected', ...told(by), resource: name, data: { shared } });
      return deleted;
    });
    if (server === undefined) return { revoked: false };
    try {
      const { refreshToken, accessToken } = await openTokens(sealer, gone);
      const as = await servers.metadata(server, gone.issuer);
      const client = await servers.client(database, server, as);
      if (client.id !== gone.clientId) return { revoked: false };
      return { revoked: await revoke({ http: server.http, as, client }, refreshToken ?? accessToken) };
    } catch {
      return { revoked: false }; // it can't be reached: here it is gone all the same
    }
  }

  async #keep(
    server: OAuthServer,
    by: SigningIn,
    given: { issuer: string; resource: string; clientId: string; tokens: UpstreamTokens },
  ): Promise<void> {
    const { database, sealer } = this.#deps;
    const { tokens, ...from } = given;
    const subject = { id: randomUUID(), ...ownerOf(server, by), ...from };
    const sealed = await sealTokens(sealer, subject, tokens);
    const { scopes, seconds } = tokens;
    const refreshable = tokens.refreshToken !== undefined;
    const { name } = server;
    const shared = subject.userId === undefined;
    await database.transaction(async (tx) => {
      await putGrant(tx, { ...subject, scopes, sealed, refreshable, seconds });
      await endMcpSessions(tx, shared ? { server: name } : { userId: by.userId, server: name });
      const data = { issuer: from.issuer, scopes, shared };
      await recordIdentityEvent(tx, { type: 'server_connected', ...told(by), resource: name, data });
    });
  }

  #server(name: string, by: SigningIn): OAuthServer {
    const server = this.#deps.servers.get(name);
    if (server === undefined) throw new NotFoundError('There is no such server to sign in at');
    if (server.byItself) {
      throw new PreconditionError(`The instance signs in at ${name} by itself`, { next: [`plugins mcp show ${name}`] });
    }
    if (server.auth.per === 'shared' && !by.admin) throw onlyAdmins(name);
    return server;
  }

  async #failed(by: SigningIn, server: string, reason: string): Promise<void> {
    const data = { method: 'upstream', reason };
    await recordIdentityEvent(this.#deps.database, { type: 'sign_in_failed', ...told(by), resource: server, data });
  }
}

function told({ userId, sessionId, address }: SigningIn) {
  return { userId, sessionId, address };
}

function ownerOf({ name, auth }: OAuthServer, { userId }: SigningIn) {
  return { server: name, userId: auth.per === 'shared' ? undefined : userId };
}

/** It comes of what the browser carries: the database has nothing that a thief of the code could use. */
function verifierOf(browser: string, state: string): string {
  return createHmac('sha256', browser).update(`upstream verifier ${state}`).digest('base64url');
}

function begunElsewhere(): UnauthenticatedError {
  return new UnauthenticatedError('This sign-in was begun elsewhere, or too long ago', {
    hint: 'Begin it again in this browser, on your account page.',
    data: { reason: 'state' },
  });
}

function onlyAdmins(name: string): ForbiddenError {
  return new ForbiddenError(`The sign-in at ${name} is for all callers: an administrator makes it`);
}
