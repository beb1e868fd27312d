import type { Queryable } from '../../infra/database/connection.ts';
import type { IdentityEventType } from '../../shared/identity-event.ts';
import type { UserId } from '../../shared/ids.ts';
import type { IdentityEventsRow } from './tables.ts';

/** One event as it is shown. Names are those of today; ids are what was recorded. */
export interface IdentityEntry {
  readonly id: number;
  readonly at: Date;
  readonly type: string;
  readonly userId?: string;
  readonly user?: string;
  readonly actorId?: string;
  readonly actor?: string;
  readonly clientId?: string;
  readonly sessionId?: string;
  readonly resource?: string;
  readonly address?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface IdentityEventFilter {
  /** About this user, or done by them. */
  readonly userId?: UserId | undefined;
  readonly clientId?: string | undefined;
  readonly type?: IdentityEventType | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** Older than this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

interface EntryRow extends IdentityEventsRow {
  readonly user_name: string | null;
  readonly actor_name: string | null;
}

/** Events from the newest to the oldest. */
export async function listIdentityEvents(connection: Queryable, filter: IdentityEventFilter): Promise<IdentityEntry[]> {
  const rows = await connection.query<EntryRow>(
    `SELECT e.*, u.name AS user_name, a.name AS actor_name
     FROM identity_events e LEFT JOIN users u ON u.id = e.user_id LEFT JOIN users a ON a.id = e.actor_id
     WHERE ($1::uuid IS NULL OR e.user_id = $1 OR e.actor_id = $1) AND ($2::text IS NULL OR e.client_id = $2)
       AND ($3::text IS NULL OR e.type = $3) AND ($4::timestamptz IS NULL OR e.at >= $4)
       AND ($5::timestamptz IS NULL OR e.at <= $5) AND ($6::bigint IS NULL OR e.id < $6)
     ORDER BY e.id DESC LIMIT $7`,
    [
      filter.userId ?? null,
      filter.clientId ?? null,
      filter.type ?? null,
      filter.since ?? null,
      filter.until ?? null,
      filter.before ?? null,
      filter.limit,
    ],
  );
  return rows.map(toEntry);
}

function toEntry(row: EntryRow): IdentityEntry {
  return {
    id: row.id,
    at: row.at,
    type: row.type,
    ...(row.user_id === null ? {} : { userId: row.user_id }),
    ...(row.user_name === null ? {} : { user: row.user_name }),
    ...(row.actor_id === null ? {} : { actorId: row.actor_id }),
    ...(row.actor_name === null ? {} : { actor: row.actor_name }),
    ...(row.client_id === null ? {} : { clientId: row.client_id }),
    ...(row.session_id === null ? {} : { sessionId: row.session_id }),
    ...(row.resource === null ? {} : { resource: row.resource }),
    ...(row.address === null ? {} : { address: row.address }),
    data: row.data as Record<string, unknown>,
  };
}
