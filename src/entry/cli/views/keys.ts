import type { KeyFacts, KeySwitch } from '../../../lib/domain/auth/index.ts';
import type { TableArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';

/** The keys that sign access tokens. */
export function keysTable(keys: readonly KeyFacts[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'server', column_type: 'string' },
      { name: 'status', column_type: 'string' },
      { name: 'kid', label: 'KEY', column_type: 'string' },
      { name: 'created_at', label: 'CREATED', column_type: 'date' },
      { name: 'activated_at', label: 'SIGNS SINCE', column_type: 'date' },
      { name: 'retired_at', label: 'RETIRED', column_type: 'date' },
    ],
    items: keys.map((key) => ({
      server: key.resource === undefined ? 'all others' : serverOf(key.resource),
      status: key.status,
      kid: key.kid,
      created_at: key.createdAt.toISOString(),
      activated_at: key.activatedAt?.toISOString() ?? null,
      retired_at: key.retiredAt?.toISOString() ?? null,
    })),
    count: keys.length,
    empty: 'There are no signing keys yet: the first start makes them.',
  };
}

/** What a rotation came to. */
export function keySwitch(change: KeySwitch, server: string | undefined): TextArtifact {
  const whose = server === undefined ? 'everything that has no key of its own' : server;
  const rest =
    change.revoked.length === 0
      ? 'Tokens that the former key signed stay good until they expire.'
      : 'Tokens that former keys signed are refused from now on.';
  return {
    type: 'text',
    content: `The key ${change.active} signs for ${whose} now. ${rest}`,
    data: { server: server ?? null, active: change.active, retired: change.retired ?? null, revoked: change.revoked },
  };
}

/** The name in the audience of an MCP server. */
function serverOf(audience: string): string {
  return /\/mcp\/([^/]+)\/mcp$/.exec(audience)?.[1] ?? audience;
}
