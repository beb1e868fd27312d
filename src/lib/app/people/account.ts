import type { Actor } from '../../shared/actor.ts';
import { NotFoundError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import type { SignInServer, SigningIn, UpstreamSignIns } from '../upstream/oauth/sign-ins.ts';
import type { ConnectableServer, UserCredentials } from '../upstream/user-credentials.ts';
import type { BrowserSession } from './browser-sessions.ts';
import type { CookieRequest, CookieResponse } from './cookies.ts';
import type { Passkey, Passkeys } from './passkeys.ts';
import { browserName } from './user-agent.ts';

/** Kinds of what acts in a user's name. */
export type AccountKind = 'passkeys' | 'federated' | 'sessions' | 'connected' | 'tokens';

/** A sign-in as it is listed. */
export interface ListedSession {
  readonly id: SessionId;
  readonly kind: 'local' | 'browser' | 'oauth' | 'token' | 'service' | 'proxy';
  readonly client: string;
  readonly userAgent?: string;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
}

/** A personal access token as it is listed. */
export interface ListedToken {
  readonly id: string;
  readonly name: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt?: Date;
}

/** What a client was allowed in one sign-in. */
export interface Consented {
  readonly sessionId: SessionId;
  readonly resources: readonly { readonly audience: string; readonly scopes: readonly string[] }[];
}

/** An account at another provider that signs its user in here. */
export interface LinkedIdentity {
  readonly id: string;
  readonly provider: string;
  readonly label?: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
}

export interface AccountDependencies {
  readonly users: {
    get(id: UserId): Promise<{
      readonly name: string;
      readonly displayName: string;
      readonly email?: string | undefined;
      readonly roles: readonly string[];
    }>;
  };
  readonly passkeys: Pick<Passkeys, 'list' | 'remove'>;
  readonly federation: {
    readonly providers: readonly { readonly id: string; readonly name: string }[];
    list(userId: UserId): Promise<readonly LinkedIdentity[]>;
    unlink(session: BrowserSession, id: string, address?: string): Promise<void>;
  };
  readonly sessions: {
    list(actor: Actor, userId: UserId): Promise<readonly ListedSession[]>;
    end(actor: Actor, userId: UserId, id: SessionId): Promise<unknown>;
  };
  /** Absent where there are none. */
  readonly tokens?: {
    list(actor: Actor, userId: UserId): Promise<readonly ListedToken[]>;
    revoke(actor: Actor, id: string): Promise<unknown>;
  };
  /** What users bring for MCP servers; absent where there is no such thing. */
  readonly servers?: Pick<UserCredentials, 'list' | 'bring' | 'takeBack'>;
  /** Servers elsewhere that users sign in at; absent where there is no such thing. */
  readonly signIns?: Pick<UpstreamSignIns, 'list' | 'start' | 'callback' | 'disconnect' | 'document'>;
  /** What clients may do in a user's name. */
  readonly consents: (userId: UserId) => Promise<readonly Consented[]>;
  /** What is protected under an address, as people know it. */
  readonly resourceName: (audience: string) => string | undefined;
  /** What a client calls itself, where that is known without asking it. */
  readonly clientName: (id: string) => Promise<string | undefined>;
}

/** Everything that acts in the name of one user, for that user. */
export interface AccountOverview {
  readonly user: { readonly name: string; readonly displayName: string; readonly email?: string | undefined };
  readonly passkeys: readonly Passkey[];
  readonly federated: readonly {
    readonly id: string;
    readonly name: string;
    readonly createdAt: Date;
    readonly lastUsedAt?: Date;
  }[];
  /** Other providers that the account is not linked with yet. */
  readonly linkable: readonly { readonly id: string; readonly name: string }[];
  readonly sessions: readonly {
    readonly id: string;
    readonly client: string;
    readonly createdAt: Date;
    readonly lastSeenAt: Date;
    readonly current: boolean;
  }[];
  readonly connected: readonly {
    readonly id: string;
    readonly name: string;
    readonly clientId: string;
    readonly allowed: readonly { readonly resource: string; readonly scopes: readonly string[] }[];
    readonly createdAt: Date;
    readonly lastSeenAt: Date;
  }[];
  /** Absent where there are none to be had. */
  readonly tokens?: readonly ListedToken[] | undefined;
  /** MCP servers that the user brings something for. */
  readonly servers: readonly ConnectableServer[];
  /** MCP servers that the user signs in at. */
  readonly signIns: readonly SignInServer[];
}

/** What the account page shows and ends. It adds no way of its own to end anything: each kind has one. */
export class Account {
  readonly #deps: AccountDependencies;

  constructor(deps: AccountDependencies) {
    this.#deps = deps;
  }

  async overview(session: BrowserSession): Promise<AccountOverview> {
    const { userId } = session;
    const actor = actorOf(session);
    const { users, passkeys, federation, tokens, servers, signIns } = this.#deps;
    const [user, keys, linked, sessions, consents, listed, connectable, elsewhere] = await Promise.all([
      users.get(userId),
      passkeys.list(userId),
      federation.list(userId),
      this.#deps.sessions.list(actor, userId),
      this.#deps.consents(userId),
      tokens?.list(actor, userId),
      servers?.list(userId) ?? [],
      signIns === undefined ? [] : this.#by(session).then((by) => signIns.list(by)),
    ]);
    const providers = new Map(federation.providers.map(({ id, name }) => [id, name]));
    const allowedOf = new Map(consents.map(({ sessionId, resources }) => [sessionId, resources]));
    return {
      user,
      passkeys: keys,
      federated: linked.map(({ id, provider, label, createdAt, lastUsedAt }) => ({
        id,
        name: [providers.get(provider) ?? provider, label].filter((part) => part !== undefined).join(': '),
        createdAt,
        ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
      })),
      linkable: federation.providers.filter(({ id }) => !linked.some(({ provider }) => provider === id)),
      sessions: sessions
        .filter(({ kind }) => kind === 'browser' || kind === 'local' || kind === 'proxy')
        .map(({ id, kind, client, userAgent, createdAt, lastSeenAt }) => ({
          id,
          client: kind === 'browser' ? browserName(userAgent) : client,
          createdAt,
          lastSeenAt,
          current: id === session.sessionId,
        }))
        .sort((one, other) => Number(other.current) - Number(one.current)),
      connected: await Promise.all(
        sessions
          .filter(({ kind }) => kind === 'oauth')
          .map(async ({ id, client, createdAt, lastSeenAt }) => ({
            id,
            name: (await this.#deps.clientName(client)) ?? hostOf(client),
            clientId: client,
            allowed: (allowedOf.get(id) ?? []).map(({ audience, scopes }) => ({
              resource: this.#deps.resourceName(audience) ?? audience,
              scopes,
            })),
            createdAt,
            lastSeenAt,
          })),
      ),
      tokens: listed,
      servers: connectable,
      signIns: elsewhere,
    };
  }

  /**
   * Keeps what the user brings for a server.
   * @throws NotFoundError, PreconditionError, UsageError: for what is no such server, or no such value
   */
  async connect(
    { userId, sessionId }: BrowserSession,
    server: string,
    values: ReadonlyMap<string, string>,
    address: string | undefined,
  ): Promise<void> {
    const { servers } = this.#deps;
    if (servers === undefined) throw new NotFoundError('There is no such server');
    await servers.bring({ userId, sessionId, address }, server, values);
  }

  /**
   * Where the browser goes to sign in at a server elsewhere.
   * @throws NotFoundError, ForbiddenError; UpstreamFailedError when that server, or who signs in for it, is at fault
   */
  async signInAt(
    request: CookieRequest,
    response: CookieResponse,
    session: BrowserSession,
    server: string,
    address: string | undefined,
  ): Promise<string> {
    return await this.#signIns().start(request, response, await this.#by(session, address), server);
  }

  /** Takes the way back from there. @throws UnauthenticatedError, UpstreamFailedError */
  async signedInAt(
    request: CookieRequest,
    session: BrowserSession,
    server: string,
    given: { readonly url: string; readonly address: string | undefined },
  ): Promise<void> {
    await this.#signIns().callback(request, await this.#by(session, given.address), server, given);
  }

  /** The public document that says who the instance is to a server elsewhere. @throws NotFoundError */
  clientDocument(server: string): object {
    return this.#signIns().document(server);
  }

  /** Erases what the user brought for a server, or the sign-in there. @throws NotFoundError when there is nothing */
  async disconnect(session: BrowserSession, server: string, address: string | undefined): Promise<void> {
    const { servers, signIns } = this.#deps;
    const by = await this.#by(session, address);
    if (signIns !== undefined && (await signIns.list(by)).some((one) => one.server === server)) {
      await signIns.disconnect(by, server);
      return;
    }
    const { userId, sessionId } = session;
    if (servers === undefined) throw new NotFoundError('There is no such server');
    await servers.takeBack({ userId, sessionId, address }, server);
  }

  async #by({ userId, sessionId }: BrowserSession, address?: string): Promise<SigningIn> {
    const { roles } = await this.#deps.users.get(userId);
    return { userId, sessionId, address, admin: roles.includes('admin') };
  }

  #signIns(): NonNullable<AccountDependencies['signIns']> {
    const { signIns } = this.#deps;
    if (signIns === undefined) throw new NotFoundError('There is no such server');
    return signIns;
  }

  /** @throws NotFoundError when the user has nothing of that kind and id; UnauthenticatedError for a stale sign-in */
  async end(session: BrowserSession, kind: AccountKind, id: string, address: string | undefined): Promise<void> {
    const { passkeys, federation, sessions, tokens } = this.#deps;
    const actor = actorOf(session);
    if (kind === 'passkeys') await passkeys.remove(session, id, address);
    else if (kind === 'federated') await federation.unlink(session, id, address);
    else if (kind === 'tokens') {
      // Named among the user's own first: an admin may revoke anybody's by other ways, and not here.
      const own = await tokens?.list(actor, session.userId);
      if (!own?.some((token) => token.id === id)) throw new NotFoundError('You have no such token');
      await tokens?.revoke(actor, id);
    } else await sessions.end(actor, session.userId, id as SessionId);
  }
}

/** Whoever sits at the browser may do with their own account what every user may. */
function actorOf({ userId, userName, sessionId }: BrowserSession): Actor {
  return { userId, userName, sessionId, scopes: ['user'], permission: 'user' };
}

/** Of a client that is a document, the host that vouches for it; else what it is known as. */
function hostOf(client: string): string {
  return URL.parse(client)?.host || client;
}
