import { type GrantSubject, listGrants } from '../../domain/auth/index.ts';
import { listsByUser, type McpServerConfig } from '../../domain/mcp/index.ts';
import { type User, UserService } from '../../domain/users/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { NotFoundError } from '../../shared/errors.ts';
import { askedOf } from '../asking-servers.ts';
import { fleetFacts } from '../fleet/facts.ts';
import { unknownServer } from '../identity.ts';
import { offeredTool } from '../router/virtual-tools.ts';
import { type AccessDecision, type CheckInput, decide } from './check.ts';
import { DatabaseEntitlements } from './entitlements.ts';
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
  const asked = askedOf(server, servers);
  const resource = {
    name: server.name,
    scopes: asked.scopes.map((name) => ({ name })),
    openScopes: asked.openScopes,
    askedBy: asked.servers,
  };
  const targets = server.virtual === undefined ? [] : await targetsOf(server, tool, { user, servers, database });
  const permitted = await new DatabaseEntitlements(database).permittedScopes(
    { userId: user.id, clientId: client },
    resource,
  );
  const subjects: GrantSubject[] = [
    { type: 'user', id: user.id },
    ...user.roles.map((id) => ({ type: 'role' as const, id })),
    ...(client === undefined || user.kind !== 'service' ? [] : [{ type: 'client' as const, id: client }]),
  ];
  const found = asked.servers.flatMap(({ name }) =>
    subjects.map((subject) => listGrants(database, { server: name, subject })),
  );
  const grants = (await Promise.all(found)).flat();
  return decide({
    user,
    server,
    tool,
    targets,
    asking: asked.servers,
    client,
    permitted,
    grants,
    configuration,
  });
}

/** Where a call of a virtual server's tool goes, as the router finds it; all its targets without a tool. */
async function targetsOf(
  server: McpServerConfig,
  tool: string | undefined,
  deps: { readonly user: User; readonly servers: readonly McpServerConfig[]; readonly database: Database },
): Promise<NonNullable<CheckInput['targets']>> {
  const { user, servers, database } = deps;
  const enabled = (name: string) => servers.find((one) => one.name === name && one.enabled);
  if (tool === undefined) {
    const names = new Set(server.virtual?.targets.map((target) => target.server));
    return [...names].flatMap((name) => {
      const target = enabled(name);
      return target === undefined ? [] : [{ server: target }];
    });
  }
  const own = { servers: servers.filter(listsByUser).map(({ name }) => name), userId: user.id };
  const { tools } = await fleetFacts(database, undefined, own);
  const known = { tools: (name: string) => tools.get(name) ?? [], find: () => undefined };
  const offered = offeredTool(server, known, tool, user.id);
  const target = offered && enabled(offered.target);
  if (offered === undefined || target === undefined) {
    throw new NotFoundError(`${server.name} has no tool ${tool}`, { next: [`plugins mcp show ${server.name}`] });
  }
  return [{ server: target, tool: offered.tool }];
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
