import type { McpServerConfig } from '../domain/mcp/index.ts';
import { type Database, databaseFor } from '../infra/database/connection.ts';
import type { UserId } from '../shared/ids.ts';
import { UserSessions } from './access/sessions.ts';
import { PersonalTokens } from './access/tokens.ts';
import type { Identity } from './identity.ts';
import type { Authorization } from './oauth/open.ts';
import { Account } from './people/account.ts';
import type { People } from './people/open.ts';
import type { OAuthServers } from './upstream/oauth/servers.ts';
import { UpstreamSignIns } from './upstream/oauth/sign-ins.ts';
import type { Sealer } from './upstream/sealing.ts';
import { UserCredentials } from './upstream/user-credentials.ts';

/** The account of whoever sits at a browser, over everything that can act in a user's name. */
export function openAccount(deps: {
  readonly database: Database;
  readonly identity: Pick<Identity, 'users' | 'entitlements'>;
  /** How long a personal access token is good at most, in days. */
  readonly maxTokenDays: number;
  readonly servers: readonly McpServerConfig[];
  readonly sealer: Sealer;
  readonly people: Pick<People, 'passkeys' | 'federation' | 'sessions'>;
  /** Servers elsewhere whose tokens come from an authorization server. */
  readonly oauth: OAuthServers;
  readonly authorization: Pick<Authorization, 'server' | 'clients' | 'resources'>;
}): Account {
  const { server, clients, resources } = deps.authorization;
  // Whoever sits there reaches their own rows and no others, whatever a statement says (row-level security).
  const sessionsFor = (user: UserId) => new UserSessions(databaseFor(deps.database, user));
  const tokensFor = (user: UserId) =>
    new PersonalTokens({
      database: databaseFor(deps.database, user),
      resources,
      entitlements: deps.identity.entitlements,
      maxDays: deps.maxTokenDays,
    });
  return new Account({
    users: deps.identity.users,
    passkeys: deps.people.passkeys,
    federation: deps.people.federation,
    sessions: {
      list: (actor, userId) => sessionsFor(actor.userId).list(actor, userId),
      end: (actor, userId, id) => sessionsFor(actor.userId).end(actor, userId, id),
    },
    tokens: {
      list: (actor, userId) => tokensFor(actor.userId).list(actor, userId),
      revoke: (actor, id) => tokensFor(actor.userId).revoke(actor, id),
    },
    servers: new UserCredentials({ ...deps, servers: deps.servers.filter(({ enabled }) => enabled) }),
    signIns: new UpstreamSignIns({
      database: deps.database,
      sealer: deps.sealer,
      servers: deps.oauth,
      browser: deps.people.sessions,
    }),
    consents: (userId) => server.consentsOf(userId),
    resourceName: (audience) => resources.byAudience(audience)?.displayName,
    clientName: async (id) => (await clients.client(id))?.name,
  });
}
