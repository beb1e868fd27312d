import type { Queryable } from '../../infra/database/connection.ts';
import { redactLogText } from '../../infra/logging/redact.ts';
import type { IdentityEventType } from '../../shared/identity-event.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';

/** Facts of an event: few, flat, and never a secret. Absent ones are left out. */
export type IdentityEventData = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly number[] | undefined>
>;

export interface IdentityEvent {
  readonly type: IdentityEventType;
  /** Whom it is about. */
  readonly userId?: UserId | undefined;
  /** Who did it; left out where that is the user. */
  readonly actorId?: UserId | undefined;
  readonly clientId?: string | undefined;
  readonly sessionId?: SessionId | undefined;
  /** An audience, or the name of a server. */
  readonly resource?: string | undefined;
  /** Where the request came from. */
  readonly address?: string | undefined;
  readonly data?: IdentityEventData;
}

/** Longest text among the facts, in characters, and most entries of a list. */
const maxText = 500;
const maxEntries = 100;

/**
 * Puts an event on record. Give it the transaction that does what it tells, where there is one: then both are there or
 * neither is.
 * @throws DatabaseUnavailableError
 */
export function recordIdentityEvent(tx: Queryable, event: IdentityEvent): Promise<void> {
  return recordIdentityEvents(tx, [event]);
}

/** Several at once, in their order, by one statement. */
export async function recordIdentityEvents(tx: Queryable, events: readonly IdentityEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `INSERT INTO identity_events (type, user_id, actor_id, client_id, session_id, resource, address, data)
     SELECT t, u, a, c, s, r, ad, coalesce(d, '{}')
     FROM ROWS FROM (json_to_recordset($1::json) AS (t text, u uuid, a uuid, c text, s uuid, r text, ad text, d jsonb))
       WITH ORDINALITY AS e (t, u, a, c, s, r, ad, d, n)
     ORDER BY n`,
    [JSON.stringify(events.map(toRow))],
    { name: 'identity_events_insert' },
  );
}

function toRow(event: IdentityEvent): Record<string, unknown> {
  return {
    t: event.type,
    u: event.userId,
    a: event.actorId,
    c: clean(event.clientId, 2000),
    s: event.sessionId,
    r: clean(event.resource, 2000),
    ad: clean(event.address, 100),
    d: event.data && cleanData(event.data),
  };
}

function cleanData(data: IdentityEventData): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => {
        if (typeof value === 'string') return [name, clean(value, maxText)];
        if (!Array.isArray(value)) return [name, value];
        const items = value.slice(0, maxEntries) as (string | number)[];
        return [name, items.map((item) => (typeof item === 'string' ? clean(item, 120) : item))];
      }),
  );
}

/** Without what has the shape of a secret, without characters that PostgreSQL or a terminal would trip over, cut off. */
function clean(text: string | undefined, limit: number): string | undefined {
  if (text === undefined) return undefined;
  const printable = text.toWellFormed().replace(/\p{Cc}/gu, ' ');
  return redactLogText(printable, undefined, limit - 1).slice(0, limit);
}
