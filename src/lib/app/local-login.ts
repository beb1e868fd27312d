import { z } from 'zod';
import { actorOf, type IssuedToken, type KeySwitch } from '../domain/auth/index.ts';
import type { Actor } from '../shared/actor.ts';
import { PreconditionError } from '../shared/errors.ts';
import type { SessionId, UserId } from '../shared/ids.ts';
import { isPermission } from '../shared/permission.ts';
import {
  type Identity,
  instanceAudience,
  mcpAudience,
  needsBoundTokens,
  type SignInServer,
  unknownServer,
} from './identity.ts';
import { instanceResource } from './resources.ts';
import type { ControlRoute } from './supervisor/control.ts';

/** The client that tokens of the local sign-in are given to, unless the caller names itself. */
const cliClient = 'systemprompt-cli';

const loginInput = z.strictObject({
  /** Name of an MCP server: the token opens that server and nothing else. */
  server: z.string().min(1).max(100).optional(),
  ttlSeconds: z.int().optional(),
  scopes: z.array(z.string()).max(100).optional(),
  client: z.string().min(1).max(200).optional(),
});
const logoutInput = z.strictObject({ sessionId: z.uuid() });
const actorInput = z.strictObject({ token: z.string().min(1) });
const rotateInput = z.strictObject({
  /** Name of an MCP server that has a key of its own. */
  server: z.string().min(1).max(100).optional(),
  revoke: z.boolean().optional(),
  /** Who wants it; the local owner unless told. */
  actorId: z.uuid().optional(),
});
const noInput = z.strictObject({});

/** The answer of a sign-in. */
export interface LocalLogin extends Omit<IssuedToken, 'expiresAt'> {
  /** ISO 8601, UTC. */
  readonly expiresAt: string;
  readonly user: string;
  readonly sessionId: SessionId;
}

/** What the routes stand on; both are asked at each call, since the socket is there before the database. */
export interface LocalLoginDependencies {
  readonly identity: () => Promise<Identity>;
  /** The configured MCP server of that name. */
  readonly server: (name: string) => Promise<SignInServer | undefined>;
}

/**
 * Sign-in of the local owner, for the supervisor's control socket. Whoever can open the socket owns the account under
 * which the instance runs (folder 0700): that is the proof, there is no password.
 */
export function localLoginRoutes(deps: LocalLoginDependencies): ControlRoute[] {
  return [
    route('POST', '/v1/session/login', loginInput, (input) => login(deps, input)),
    route('POST', '/v1/session/logout', logoutInput, async ({ sessionId }) => {
      const { sessions } = await deps.identity();
      const session = await sessions.revoke(sessionId as SessionId);
      return { sessionId: session.id, revokedAt: session.revokedAt?.toISOString() };
    }),
    route('POST', '/v1/session/owner-link', noInput, async () => {
      const link = await (await deps.identity()).ownerLink();
      return link === undefined ? {} : { url: link.url, expiresAt: link.expiresAt.toISOString() };
    }),
    route('POST', '/v1/actor', actorInput, async ({ token }): Promise<Actor> => {
      const { verifier, sessions, addresses } = await deps.identity();
      const claims = await verifier.verify(token, instanceAudience(addresses.externalUrl));
      await sessions.touch(claims.sid);
      return actorOf(claims);
    }),
    route('POST', '/v1/keys/rotate', rotateInput, (input) => rotate(deps, input)),
    route('GET', '/v1/jwks', noInput, async () => (await deps.identity()).keys.jwks()),
  ];
}

async function login(deps: LocalLoginDependencies, input: z.infer<typeof loginInput>): Promise<LocalLogin> {
  const { users, sessions, issuer, addresses, entitlements } = await deps.identity();
  const server = input.server === undefined ? undefined : await knownServer(deps, input.server);
  if (server?.requireDpop === true) throw needsBoundTokens(server.name);
  const user = await users.ensureOwner();
  const client = input.client ?? cliClient;
  const audience = server ? mcpAudience(addresses.externalUrl, server.name) : instanceAudience(addresses.externalUrl);
  const ttlSeconds = input.ttlSeconds ?? issuer.maxTtlFor(audience);
  const resource = {
    name: server?.name ?? instanceResource,
    scopes: server?.scopes.map((name) => ({ name })) ?? [],
    openScopes: server?.openScopes ?? [],
    askedBy: server?.askedBy,
  };
  const permitted = await entitlements.permittedScopes({ userId: user.id, clientId: client }, resource);
  const named = [...permitted.scopes].filter((scope) => !isPermission(scope));
  const scopes = input.scopes ?? [...user.roles, ...named];
  const request = { user, audience, scopes, ttlSeconds, client, permitted };
  // What can't be issued begins no session.
  issuer.check(request);
  const session = await sessions.begin({ userId: user.id, client, ttlSeconds });
  const { expiresAt, ...issued } = await issuer.issue({ ...request, sessionId: session.id });
  return { ...issued, expiresAt: expiresAt.toISOString(), user: user.name, sessionId: session.id };
}

async function rotate(deps: LocalLoginDependencies, input: z.infer<typeof rotateInput>): Promise<KeySwitch> {
  const { keys, users, addresses } = await deps.identity();
  const server = input.server === undefined ? undefined : await knownServer(deps, input.server);
  if (server !== undefined && server.ownKey !== true) {
    throw new PreconditionError(`The tokens for ${server.name} are signed with the key of the instance`, {
      hint: 'Give it a key of its own with `own_key: true` under oauth in services/mcp/, or rotate without --server.',
      next: ['admin keys list'],
      data: { server: server.name },
    });
  }
  const resource = server && mcpAudience(addresses.externalUrl, server.name);
  const actorId = (input.actorId as UserId | undefined) ?? (await users.ensureOwner()).id;
  return keys.rotate({ resource, revoke: input.revoke, actorId });
}

async function knownServer(deps: LocalLoginDependencies, name: string): Promise<SignInServer> {
  const server = await deps.server(name);
  if (server === undefined) throw unknownServer(name);
  return server;
}

/** One route whose handler is typed by its schema; the socket's server checks the input with that schema first. */
function route<T>(
  method: ControlRoute['method'],
  path: string,
  input: z.ZodType<T>,
  handle: (input: T) => Promise<unknown>,
): ControlRoute {
  return { method, path, input, handle: async (value) => handle(input.parse(value)) };
}
