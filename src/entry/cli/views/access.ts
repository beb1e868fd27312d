import type { AccessDecision, CheckedScope, ScopeSource } from '../../../lib/app/access/check.ts';
import type { Origin } from '../../../lib/app/config/types.ts';
import type { Grant } from '../../../lib/domain/auth/index.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** Grants, one a line. */
export function grantsTable(grants: readonly Grant[], title?: string): TableArtifact {
  const revoked = grants.some(({ revokedAt }) => revokedAt !== undefined);
  return {
    type: 'table',
    ...(title === undefined ? {} : { title }),
    columns: [
      { name: 'server', column_type: 'string' },
      { name: 'scope', column_type: 'string' },
      { name: 'tool', column_type: 'string' },
      { name: 'to', column_type: 'string' },
      { name: 'granted_by', label: 'BY', column_type: 'string' },
      { name: 'granted_at', label: 'WHEN', column_type: 'date' },
      ...(revoked
        ? [
            { name: 'revoked_by', label: 'REVOKED BY', column_type: 'string' as const },
            { name: 'revoked_at', label: 'REVOKED', column_type: 'date' as const },
          ]
        : []),
      { name: 'id', column_type: 'string' },
    ],
    items: grants.map((grant) => ({
      server: grant.server,
      scope: grant.scope,
      tool: grant.tool ?? null,
      to: `${grant.subject.type} ${grant.subjectName}`,
      granted_by: grant.createdBy,
      granted_at: grant.createdAt.toISOString(),
      ...(revoked ? { revoked_by: grant.revokedBy ?? null, revoked_at: grant.revokedAt?.toISOString() ?? null } : {}),
      id: grant.id,
    })),
    count: grants.length,
    empty: 'No grants found.',
  };
}

/** A decision with everything that it stands on. @param runnable a command as it is typed */
export function decisionCard(
  decision: AccessDecision,
  runnable: (command: string) => string,
): PresentationCardArtifact {
  const { user, server, tool, client, allowed, scopes, clients, reason, target } = decision;
  const what = tool === undefined ? server : `${server} ${tool}`;
  const by = client === undefined ? '' : ` with the client ${client}`;
  return {
    type: 'presentation_card',
    title: `${user.name} ${allowed ? 'may' : 'may not'} call ${what}${by}`,
    sections: [
      ...(reason === 'user' ? [{ heading: 'User', content: inactive(decision, runnable) }] : []),
      ...(target === undefined
        ? []
        : [{ heading: 'Target', content: `the tool ${target.tool} of the server ${target.server}` }]),
      ...scopes.map((scope) => ({
        heading: `Scope ${scope.scope}`,
        content: [`demanded by the ${scope.demandedBy}${of(scope)}${at(scope.at)}`, ...verdictOf(scope, runnable)].join(
          '\n',
        ),
      })),
      ...(decision.scopedTools === undefined
        ? []
        : [
            {
              heading: 'Tool',
              content: unscoped(decision.scopedTools, target?.tool ?? tool ?? '', target?.server ?? server, runnable),
            },
          ]),
      ...(clients === undefined
        ? []
        : [
            {
              heading: 'Client',
              content:
                `the server takes these alone: ${clients.ids.join(', ')}${at(clients.at)}` +
                (reason === 'client' ? `\nmissing: ${client} is not one of them` : ''),
            },
          ]),
    ],
    data: facts(decision, runnable),
  };
}

/** Whether there is such a tool is known to the server alone: it may be off. */
function unscoped(tools: readonly string[], tool: string, server: string, runnable: (command: string) => string) {
  const others = tools.length > 0 ? `; these have: ${tools.join(', ')}` : '';
  return `${tool} has no scopes of its own in the configuration${others}\nwhat tools there are: ${runnable(`plugins mcp tools ${server}`)}`;
}

function inactive({ user }: AccessDecision, runnable: (command: string) => string): string {
  const why = user.statusReason === undefined ? '' : `, because: ${user.statusReason}`;
  const remedy =
    user.status === 'suspended' ? `\nto let them in again: ${runnable(`admin users unban ${user.name}`)}` : '';
  return `${user.name} is ${user.status}${why}${remedy}`;
}

function verdictOf(scope: CheckedScope, runnable: (command: string) => string): string[] {
  if (scope.held) return scope.sources.map((source) => `held: ${inWords(source)}`);
  return ['missing', ...(scope.remedy === undefined ? [] : [`to give it: ${runnable(scope.remedy)}`])];
}

function inWords(source: ScopeSource): string {
  if (source.kind === 'role') return `by the role ${source.role}`;
  if (source.kind === 'open') return `open to everyone who may call the server${at(source.at)}`;
  const { grant } = source;
  const to = grant.subject.type === 'user' ? '' : ` to the ${grant.subject.type} ${grant.subjectName}`;
  return `by grant ${grant.id}${to}, from ${grant.createdBy} on ${formatDate(grant.createdAt.toISOString())}`;
}

/** Which server, where it is a target of the one that was asked about. */
function of({ demandedBy, target }: CheckedScope): string {
  if (target === undefined) return '';
  return demandedBy === 'server' ? ` ${target} behind it` : ` of ${target}`;
}

function at(origin: Origin | undefined): string {
  return origin === undefined ? '' : ` in ${place(origin)}`;
}

function place({ file, line, column }: Origin): string {
  return `${file}:${line}:${column}`;
}

function facts(decision: AccessDecision, runnable: (command: string) => string): Record<string, unknown> {
  return {
    allowed: decision.allowed,
    reason: decision.reason ?? null,
    user: { id: decision.user.id, name: decision.user.name, status: decision.user.status },
    server: decision.server,
    tool: decision.tool ?? null,
    target: decision.target ?? null,
    client: decision.client ?? null,
    clients: decision.clients?.ids ?? null,
    scopes: decision.scopes.map((scope) => ({
      scope: scope.scope,
      demanded_by: scope.demandedBy,
      server: scope.target ?? decision.server,
      at: scope.at === undefined ? null : place(scope.at),
      held: scope.held,
      sources: scope.sources.map((source) => {
        if (source.kind === 'role') return { kind: source.kind, role: source.role };
        if (source.kind === 'open') return { kind: source.kind, at: source.at === undefined ? null : place(source.at) };
        const { id, subject, createdBy, createdAt } = source.grant;
        const who = { subject_type: subject.type, subject: subject.id };
        return { kind: source.kind, grant: id, ...who, by: createdBy, at: createdAt.toISOString() };
      }),
      remedy: scope.remedy === undefined ? null : runnable(scope.remedy),
    })),
  };
}
