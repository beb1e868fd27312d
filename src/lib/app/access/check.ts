import type { Grant } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { User } from '../../domain/users/index.ts';
import { covers, isPermission, type Permission, permissionLevels, permissions } from '../../shared/permission.ts';
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
  /** Without one: some client that the server takes. */
  readonly client?: string | undefined;
  readonly permitted: Permitted;
  /** Grants in force that reach the user, or the client, at that server. */
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
  const { server, tool, permitted, user } = input;
  const required = requiredScopes(server, tool);
  const { clients } = server.oauth;
  const client = input.client ?? clients?.[0] ?? 'any';
  const refusal = refusalOf({ server, claims: { scopes: [...permitted.scopes], client } }, required);
  const allowed = permitted.active && refusal === undefined;
  const reason = permitted.active ? (refusal?.data['reason'] === 'client' ? 'client' : 'scope') : 'user';
  return {
    user,
    server: server.name,
    tool,
    client: input.client,
    allowed,
    reason: allowed ? undefined : reason,
    scopes: required.map((scope) => explain(scope, input)),
    scopedTools: tool === undefined || server.tools.has(tool) ? undefined : scopedTools(server),
    clients:
      clients === undefined
        ? undefined
        : { ids: clients, at: placeOf(input, ['clients']) ?? placeOf(input, ['client_id']) },
  };
}

function scopedTools({ tools }: McpServerConfig): readonly string[] {
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
    ...grants.filter((grant) => grant.scope === scope).map((grant) => ({ kind: 'grant', grant }) as const),
  ];
}

/** The least that would be enough: the lowest role that implies a tier, a grant of a named scope to the user. */
function remedyFor(scope: string, { user, server }: CheckInput): string {
  if (!isPermission(scope)) return `admin access grant --user ${user.name} --server ${server.name} --scope ${scope}`;
  const enough = permissions.filter((role) => permissionLevels[role] >= permissionLevels[scope]);
  return `admin users role ${user.name} --add ${enough.at(-1) ?? scope}`;
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
