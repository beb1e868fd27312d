import type { ServiceEvent } from '../../../lib/app/supervisor/event-types.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

/** Events, the newest last; an item has all columns of its row. */
export function eventsTable(events: readonly ServiceEvent[], filtered: boolean): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'at', column_type: 'date' },
      { name: 'service', column_type: 'string' },
      { name: 'from_state', label: 'FROM', column_type: 'string' },
      { name: 'to_state', label: 'TO', column_type: 'string' },
      { name: 'event', column_type: 'string' },
      { name: 'reason', column_type: 'string' },
    ],
    items: events.map((event) => ({ ...event })),
    count: events.length,
    empty: filtered ? 'No events found that are like this.' : 'No events found.',
  };
}

/** An event as one line, for those who follow. */
export function eventText({ at, service, from_state, to_state, event, reason }: ServiceEvent): string {
  const why = reason === null ? '' : `: ${reason.replaceAll(/\s+/g, ' ')}`;
  return harmless(`${formatDate(at)}  ${service}  ${from_state} → ${to_state}  ${event}${why}`);
}
