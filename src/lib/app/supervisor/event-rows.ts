import type { Queryable } from '../../infra/database/connection.ts';
import { configurationSubject, type ServiceEvent, type ServiceEventFilter } from './event-types.ts';
import { type Selectable, selectServices } from './selection.ts';
import type { ServiceEventsRow, ServicesRow } from './tables.ts';

const columns = `id, service, generation, instance_id, from_state, to_state, event, reason, pid, port, exit_code,
  exit_signal, epoch, at`;

type Row = Omit<ServiceEventsRow, 'installation_id'>;

/** The newest events that pass the filter, oldest first; none newer than `upTo` when it is given. */
export async function newestEvents(
  db: Queryable,
  installationId: string,
  filter: ServiceEventFilter & { readonly limit: number; readonly upTo?: number | undefined },
): Promise<ServiceEvent[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM service_events
     WHERE installation_id = $1
       AND ($2::text[] IS NULL OR service = ANY ($2) OR split_part(service, ':', 1) = ANY ($2))
       AND ($3::text[] IS NULL OR event = ANY ($3) OR to_state = ANY ($3))
       AND ($4::timestamptz IS NULL OR at >= $4)
       AND ($5::bigint IS NULL OR id <= $5)
     ORDER BY id DESC LIMIT $6`,
    [
      installationId,
      filter.services ?? null,
      filter.types ?? null,
      filter.since ?? null,
      filter.upTo ?? null,
      filter.limit,
    ],
  );
  return rows.map(toEvent).reverse();
}

/** Events after one that is known, in their order. */
export async function eventsAfter(
  db: Queryable,
  installationId: string,
  after: number,
  limit: number,
): Promise<ServiceEvent[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM service_events WHERE installation_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
    [installationId, after, limit],
  );
  return rows.map(toEvent);
}

/** Events of a span of time in their order: the oldest after one that is known, or the newest. */
export async function eventsBetween(
  db: Queryable,
  installationId: string,
  span: {
    /** ISO 8601, both included. */
    readonly since?: string | undefined;
    readonly until?: string | undefined;
    readonly after?: number;
    readonly newest?: boolean;
    readonly limit: number;
  },
): Promise<ServiceEvent[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM service_events
     WHERE installation_id = $1 AND id > $2
       AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4::timestamptz + interval '1 ms')
     ORDER BY id ${span.newest === true ? 'DESC' : ''} LIMIT $5`,
    [installationId, span.after ?? 0, span.since ?? null, span.until ?? null, span.limit],
  );
  const events = rows.map(toEvent);
  return span.newest === true ? events.reverse() : events;
}

/** The id of the newest event; 0 when there is none. */
export async function newestEventId(db: Queryable, installationId: string): Promise<number> {
  const [row] = await db.query<Pick<Row, 'id'>>(
    'SELECT id FROM service_events WHERE installation_id = $1 ORDER BY id DESC LIMIT 1',
    [installationId],
  );
  return row?.id ?? 0;
}

/**
 * Checks names and kinds against the services on record; one that is no longer configured is known by its events.
 * @throws NotFoundError with the nearest names
 */
export async function requireServicesOnRecord(
  db: Queryable,
  installationId: string,
  words: readonly string[],
): Promise<void> {
  const known: Selectable[] = await db.query<Pick<ServicesRow, 'name' | 'kind'>>(
    'SELECT name, kind FROM services WHERE installation_id = $1 ORDER BY name',
    [installationId],
  );
  for (const word of words) {
    if (word === configurationSubject) continue;
    if (known.some(({ name, kind }) => name === word || kind === word)) continue;
    const former = await db.query('SELECT 1 FROM service_events WHERE installation_id = $1 AND service = $2 LIMIT 1', [
      installationId,
      word,
    ]);
    if (former.length === 0) selectServices([word], known);
  }
}

function toEvent({ at, ...row }: Row): ServiceEvent {
  return { ...row, at: at.toISOString() };
}
