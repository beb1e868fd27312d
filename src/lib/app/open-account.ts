import type { Database } from '../infra/database/connection.ts';
import { UserSessions } from './access/sessions.ts';
import { PersonalTokens } from './access/tokens.ts';
import type { Identity } from './identity.ts';
import type { Authorization } from './oauth/open.ts';
import { Account } from './people/account.ts';
import type { People } from './people/open.ts';

/** The account of whoever sits at a browser, over everything that can act in a user's name. */
export function openAccount(deps: {
  readonly database: Database;
  readonly identity: Pick<Identity, 'users' | 'entitlements'>;
  /** How long a personal access token is good at most, in days. */
  readonly maxTokenDays: number;
  readonly people: Pick<People, 'passkeys' | 'federation'>;
  readonly authorization: Pick<Authorization, 'server' | 'clients' | 'resources'>;
}): Account {
  const { server, clients, resources } = deps.authorization;
  return new Account({
    users: deps.identity.users,
    passkeys: deps.people.passkeys,
    federation: deps.people.federation,
    sessions: new UserSessions(deps.database),
    tokens: new PersonalTokens({
      database: deps.database,
      resources,
      entitlements: deps.identity.entitlements,
      maxDays: deps.maxTokenDays,
    }),
    consents: (userId) => server.consentsOf(userId),
    resourceName: (audience) => resources.byAudience(audience)?.displayName,
    clientName: async (id) => (await clients.client(id))?.name,
  });
}
