import type { LiveSecret, OauthClient } from '../../../lib/domain/auth/index.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** The clients that an admin asked for. */
export function clientsTable(clients: readonly OauthClient[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'id', column_type: 'string' },
      { name: 'name', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'status', column_type: 'string' },
      { name: 'signs_in_by', label: 'SIGNS IN BY', column_type: 'string' },
      { name: 'servers', column_type: 'string' },
      { name: 'created_at', label: 'CREATED', column_type: 'date' },
      { name: 'last_used_at', label: 'LAST USED', column_type: 'date' },
    ],
    items: clients.map((client) => ({
      id: client.id,
      name: client.name,
      kind: client.kind,
      status: client.status,
      signs_in_by: proofOf(client),
      servers: [...(client.server === undefined ? [] : [`is ${client.server}`]), ...client.targets].join(', '),
      created_at: client.createdAt.toISOString(),
      last_used_at: client.lastUsedAt?.toISOString() ?? null,
    })),
    count: clients.length,
    empty: 'No clients found.',
  };
}

/** One client; with a secret only where it was just made. @param checks what tells whether it may do what it is for */
export function clientCard(
  client: OauthClient & { readonly secrets?: readonly LiveSecret[] },
  secret?: string,
  checks: readonly string[] = [],
): PresentationCardArtifact {
  const date = (at: Date | undefined): string => (at === undefined ? 'never' : formatDate(at.toISOString()));
  const redirects = (client.metadata['redirect_uris'] ?? []) as string[];
  const targets = client.targets.join(', ');
  return {
    type: 'presentation_card',
    title: client.name === client.id ? client.id : `${client.id}: ${client.name}`,
    subtitle: `${client.kind}, ${client.status}`,
    sections: [
      ...(secret === undefined ? [] : [{ heading: 'Secret, shown this once', content: secret }]),
      { heading: 'Signs in by', content: proofOf(client) },
      ...(client.server === undefined ? [] : [{ heading: 'Is the server', content: client.server }]),
      ...(client.kind === 'service' ? [{ heading: 'Servers', content: targets || 'all that its roles allow' }] : []),
      ...(client.server === undefined ? [] : [{ heading: 'Acts for callers at', content: targets || 'no server' }]),
      ...(redirects.length === 0 ? [] : [{ heading: 'Sends people back to', content: redirects.join('\n') }]),
      ...(client.secrets === undefined || client.secrets.length === 0
        ? []
        : [{ heading: 'Secrets', content: client.secrets.map(({ createdAt }) => `of ${date(createdAt)}`).join('\n') }]),
      ...(checks.length === 0 ? [] : [{ heading: 'What it may do, and what is missing', content: checks.join('\n') }]),
      { heading: 'Time', content: `created ${date(client.createdAt)}, last used ${date(client.lastUsedAt)}` },
    ],
    data: { ...clientFacts(client), ...(secret === undefined ? {} : { secret }) },
  };
}

/** A client for programs. */
export function clientFacts(client: OauthClient & { readonly secrets?: readonly LiveSecret[] }) {
  return {
    id: client.id,
    name: client.name,
    kind: client.kind,
    status: client.status,
    account: client.userId ?? null,
    server: client.server ?? null,
    targets: client.targets,
    metadata: client.metadata,
    registered_from: client.registeredFrom ?? null,
    created_at: client.createdAt.toISOString(),
    last_used_at: client.lastUsedAt?.toISOString() ?? null,
    ...(client.secrets === undefined
      ? {}
      : { secrets: client.secrets.map(({ id, createdAt }) => ({ id, created_at: createdAt.toISOString() })) }),
  };
}

function proofOf({ kind, metadata }: OauthClient): string {
  const method = metadata['token_endpoint_auth_method'];
  if (method === 'private_key_jwt') return 'a key of its own';
  if (method === 'none') return kind === 'service' ? 'tokens of its platform' : 'nothing (public)';
  return 'a secret';
}
