import type { Grant } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { User } from '../../domain/users/index.ts';
import { covers, isPermission, type Permission, permissionLevels, permissions } from '../../shared/permission.ts';
import type { AskingServer } from '../asking-servers.ts';
import type { ConfigPath, Origin } from '../config/types.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { Permitted } from './entitlements.ts';

/** Why somebody may have a scope. */
export type ScopeSource =
  | { readonly kind: 'role'; readonly role: Permission }
  | { readonly kind: 'open'; readonly at?: Origin | undefined }
  | { readonly kind: 'grant'; readonly grant: Grant };

/** One scope that the call needs. */
export interface CheckedScope {
  readonly scope: string;
  /** Who demands it, and where that is written. */
  readonly demandedBy: 'server' | 'tool';
  /** Of a target of a virtual server: its name. */
  readonly target?: string | undefined;
  readonly at?: Origin | undefined;
  readonly held: boolean;
  /** Each of them alone is enough. */
  readonly sources: readonly ScopeSource[];
  /** The command that would give it. */
  readonly remedy?: string | undefined;
}

/** A decision, and what it stands on. */
export interface AccessDecision {
  readonly user: User;
  readonly server: string;
  readonly tool?: string | undefined;
  /** Of a virtual server: where the call goes, and what the tool is called there. */
  readonly target?: { readonly server: string; readonly tool: string } | undefined;
  readonly client?: string | undefined;
  readonly allowed: boolean;
  /** Why not: the user may not act at all, scopes are missing, the client is not one of the server's. */
  readonly reason?: 'user' | 'scope' | 'client' | undefined;
  readonly scopes: readonly CheckedScope[];
  /** Which tools have scopes of their own, where the one in question is none of them: its name may be a slip. */
  readonly scopedTools?: readonly string[] | undefined;
  /** The only clients that the server takes, where it names some. */
  readonly clients?: { readonly ids: readonly string[]; readonly at?: Origin | undefined } | undefined;
}

export interface CheckInput {
  readonly user: User;
  readonly server: McpServerConfig;
  readonly tool?: string | undefined;
  /** Of a virtual server: where the call would go; without a tool all that it has, whose scopes some tool may need. */
  readonly targets?: readonly { readonly server: McpServerConfig; readonly tool?: string | undefined }[];
  /** Of a virtual server: it and its targets, each of which has to give a scope that it asks for. */
  readonly asking?: readonly AskingServer[];
  /** Without one: some client that the server takes. */
  readonly client?: string | undefined;
  readonly permitted: Permitted;
  /** Grants in force that reach the user, or the client, at that server and those behind it. */
  readonly grants: readonly Grant[];
  /** What is written at a path of the configuration, and where. */
  readonly configuration: {
    readonly tree: unknown;
    originOf(path: ConfigPath): Origin | undefined;
  };
}

/**
 * Whether a call would be made, decided by what decides it for the executor, for a token that holds all that it may.
 */
export function decide(input: CheckInput): AccessDecision {
  const { server, tool, permitted, user, targets = [] } = input;
  // As the router has it: a virtual server asks for what it asks of everybody, the target for all that its tool needs.
  const parts = [{ server, tool: server.virtual === undefined ? tool : undefined }, ...targets];
  const [first] = targets;
  const target = tool === undefined || first?.tool === undefined ? undefined : { ...first, tool: first.tool };
  const choosy = (target === undefined ? [server] : [server, target.server]).filter(({ oauth }) => oauth.clients);
  const clients = choosy[0]?.oauth.clients?.filter((id) => choosy.every(({ oauth }) => oauth.clients?.includes(id)));
  const claims = { scopes: [...permitted.scopes], client: input.client ?? clients?.[0] ?? 'any' };
  const refusal = (target === undefined ? parts.slice(0, 1) : parts)
    .map((part) => refusalOf({ server: part.server, claims }, requiredScopes(part.server, part.tool)))
    .find((found) => found !== undefined);
  const allowed = permitted.active && refusal === undefined;
  const reason = permitted.active ? (refusal?.data['reason'] === 'client' ? 'client' : 'scope') : 'user';
  return {
    user,
    server: server.name,
    tool,
    target: target && { server: target.server.name, tool: target.tool },
    client: input.client,
    allowed,
    reason: allowed ? undefined : reason,
    scopes: parts.flatMap((part, at) =>
      requiredScopes(part.server, part.tool).map((scope) => ({
        ...explain(scope, { ...input, ...part, tool: part.tool }),
        ...(at === 0 ? {} : { target: part.server.name }),
      })),
    ),
    scopedTools: scopedTools(target ?? { server, tool }),
    clients:
      clients === undefined ? undefined : { ids: clients, at: clientsAt({ ...input, server: choosy[0] ?? server }) },
  };
}

function clientsAt(input: CheckInput): Origin | undefined {
  return placeOf(input, ['clients']) ?? placeOf(input, ['client_id']);
}

function scopedTools({ server: { tools }, tool }: Pick<CheckInput, 'server' | 'tool'>): readonly string[] | undefined {
  if (tool === undefined || tools.has(tool)) return undefined;
  return [...tools].flatMap(([name, { scopes }]) => (scopes.length > 0 ? [name] : []));
}

function explain(scope: string, input: CheckInput): CheckedScope {
  const { server, permitted, user } = input;
  const demandedBy = server.oauth.scopes.includes(scope) ? 'server' : 'tool';
  const held = permitted.active && covers([...permitted.scopes], scope);
  return {
    scope,
    demandedBy,
    at: demandedAt(scope, demandedBy, input),
    held,
    sources: held ? sourcesOf(scope, input) : [],
    remedy: held || user.status !== 'active' ? undefined : remedyFor(scope, input),
  };
}

function sourcesOf(scope: string, { user, server, grants, ...input }: CheckInput): ScopeSource[] {
  const tier = isPermission(scope);
  const roles = user.roles.filter((role) => (tier ? covers([role], scope) : role === 'admin'));
  const open = !tier && server.oauth.details?.get(scope)?.open === true;
  return [
    ...roles.map((role) => ({ kind: 'role', role }) as const),
    ...(open ? [{ kind: 'open', at: openAt(scope, { user, server, grants, ...input }) } as const] : []),
    ...grants.filter((grant) => isOf(grant, server.name, scope)).map((grant) => ({ kind: 'grant', grant }) as const),
  ];
}

/** The least that would be enough: the lowest role that implies a tier, a grant of a named scope to the user. */
function remedyFor(scope: string, { user, server, asking = [], grants }: CheckInput): string {
  if (!isPermission(scope)) {
    // It may be given here and lack at another that asks for it too.
    const lacking = asking.filter(
      ({ name, scopes, openScopes }) =>
        scopes.includes(scope) && !openScopes.includes(scope) && !grants.some((grant) => isOf(grant, name, scope)),
    );
    const at = lacking.find(({ name }) => name === server.name) ?? lacking[0] ?? server;
    return `admin access grant --user ${user.name} --server ${at.name} --scope ${scope}`;
  }
  const enough = permissions.filter((role) => permissionLevels[role] >= permissionLevels[scope]);
  return `admin users role ${user.name} --add ${enough.at(-1) ?? scope}`;
}

function isOf(grant: Grant, server: string, scope: string): boolean {
  return grant.server === server && grant.scope === scope;
}

function demandedAt(scope: string, by: 'server' | 'tool', input: CheckInput): Origin | undefined {
  const below = by === 'server' ? ['oauth', 'scopes'] : ['tools', input.tool ?? '', 'scopes'];
  return entryAt(scope, below, input);
}

/** Where `open: true` of a scope is written: in whichever list describes it. */
function openAt(scope: string, input: CheckInput): Origin | undefined {
  const lists = [['oauth', 'scopes'], ...[...input.server.tools.keys()].map((tool) => ['tools', tool, 'scopes'])];
  for (const list of lists) {
    const index = indexIn(scope, list, input, (entry) => typeof entry === 'object');
    if (index !== undefined) return placeOf(input, [...list, index, 'open']);
  }
  return undefined;
}

function entryAt(scope: string, list: readonly string[], input: CheckInput): Origin | undefined {
  const index = indexIn(scope, list, input, () => true);
  return index === undefined ? placeOf(input, list) : placeOf(input, [...list, index]);
}

function indexIn(
  scope: string,
  list: readonly string[],
  { configuration, server }: CheckInput,
  wanted: (entry: unknown) => boolean,
): number | undefined {
  let node: unknown = configuration.tree;
  for (const step of ['mcp_servers', server.name, ...list]) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, step)) return undefined;
    node = (node as Record<string, unknown>)[step];
  }
  if (!Array.isArray(node)) return undefined;
  const at = node.findIndex((entry: unknown) => {
    const name = typeof entry === 'object' && entry !== null ? (entry as { name?: unknown }).name : entry;
    return name === scope && wanted(entry);
  });
  return at < 0 ? undefined : at;
}

function placeOf({ configuration, server }: CheckInput, below: ConfigPath): Origin | undefined {
  return configuration.originOf(['mcp_servers', server.name, ...below]);
}
