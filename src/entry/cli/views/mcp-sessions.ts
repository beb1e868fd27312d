import type { ListedMcpSession } from '../../../lib/domain/mcp/index.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** Sessions of clients with MCP servers. */
export function mcpSessionsTable(sessions: readonly ListedMcpSession[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'server', column_type: 'string' },
      { name: 'user', column_type: 'string' },
      { name: 'client', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'protocol', column_type: 'string' },
      { name: 'transport', column_type: 'string' },
      { name: 'active_at', label: 'LAST USED', column_type: 'date' },
      { name: 'created_at', label: 'BEGUN', column_type: 'date' },
      { name: 'id', column_type: 'string' },
    ],
    items: sessions.map((session) => ({
      server: session.server,
      user: session.user,
      client: [session.clientName ?? session.client, ...(session.clientVersion ?? '').split(/\s+/, 1)].join(' ').trim(),
      state: session.endReason ?? 'open',
      protocol: session.protocolVersion ?? '',
      transport: session.transport,
      active_at: session.activeAt.toISOString(),
      created_at: session.createdAt.toISOString(),
      id: session.id,
    })),
    count: sessions.length,
    empty: 'No sessions found.',
  };
}
