import { type GrantSubject, listGrants } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { type User, UserService } from '../../domain/users/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { askedOf } from '../asking-servers.ts';
import { unknownServer } from '../identity.ts';
import { type AccessDecision, type CheckInput, decide } from './check.ts';
import { DatabaseEntitlements } from './entitlements.ts';
import { namedScopes } from './grants.ts';
import { requireAdmin, requireOwn } from './rights.ts';

/**
 * Explains what a caller may do: the decision that the executor would make now, for a token with all that may be had.
 * A user may ask for themselves, an admin for everybody.
 * @throws NotFoundError for a user or server; ForbiddenError
 */
export async function checkAccess(
  actor: Actor,
  question: {
    readonly user: string;
    readonly server: string;
    readonly tool?: string | undefined;
    readonly client?: string | undefined;
  },
  deps: {
    readonly database: Database;
    readonly servers: readonly McpServerConfig[];
    readonly configuration: CheckInput['configuration'];
  },
): Promise<AccessDecision> {
  const { database, servers, configuration } = deps;
  const { tool, client } = question;
  const user = await userOf(actor, question.user, database);
  const server = servers.find(({ name }) => name === question.server);
  if (server === undefined) throw unknownServer(question.server);
  const resource = {
    name: server.name,
    scopes: namedScopes(server).map((name) => ({ name })),
    openScopes: [...(server.oauth.details ?? [])].flatMap(([name, { open }]) => (open ? [name] : [])),
    ...(server.virtual === undefined ? {} : { askedBy: askedOf(server, servers).servers }),
  };
  const permitted = await new DatabaseEntitlements(database).permittedScopes(
    { userId: user.id, clientId: client },
    resource,
  );
  const subjects: GrantSubject[] = [
    { type: 'user', id: user.id },
    ...user.roles.map((id) => ({ type: 'role' as const, id })),
    ...(client === undefined || user.kind !== 'service' ? [] : [{ type: 'client' as const, id: client }]),
  ];
  const found = subjects.map((subject) => listGrants(database, { server: server.name, subject }));
  const grants = (await Promise.all(found)).flat();
  return decide({ user, server, tool, client, permitted, grants, configuration });
}

async function userOf(actor: Actor, handle: string, database: Database): Promise<User> {
  const service = new UserService(database);
  const own = await service.get(actor.userId);
  if ([own.id, own.name, own.email].includes(handle.trim().toLowerCase())) {
    requireOwn(actor, own.id, 'What others may do');
    return own;
  }
  requireAdmin(actor, 'What others may do');
  return service.find(handle);
}
