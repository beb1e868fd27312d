import type { IdentityAuditPage } from '../../../lib/app/access/identity-audit.ts';
import type { IdentityEntry } from '../../../lib/domain/auth/index.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** A page of the audit of identity. `count` is what is shown. */
export function identityEventsTable(page: IdentityAuditPage): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'at', column_type: 'date' },
      { name: 'type', column_type: 'string' },
      { name: 'user', column_type: 'string' },
      { name: 'by', column_type: 'string' },
      { name: 'client', column_type: 'string' },
      { name: 'resource', column_type: 'string' },
      { name: 'what', column_type: 'string' },
      { name: 'address', column_type: 'string' },
      { name: 'session', column_type: 'string' },
      { name: 'id', column_type: 'integer' },
    ],
    items: page.entries.map((entry) => ({
      at: entry.at.toISOString(),
      type: entry.type,
      user: entry.user ?? entry.userId ?? null,
      by: entry.actor ?? entry.actorId ?? null,
      client: entry.clientId ?? null,
      resource: entry.resource ?? null,
      what: factsOf(entry),
      address: entry.address ?? null,
      session: entry.sessionId ?? null,
      id: entry.id,
    })),
    count: page.entries.length,
    ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
    empty: 'No events found.',
  };
}

function factsOf({ data }: IdentityEntry): string | null {
  const facts = Object.entries(data).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(' ') : String(value);
    return `${name}: ${text === '' ? 'none' : text}`;
  });
  return facts.length === 0 ? null : facts.join(', ');
}
