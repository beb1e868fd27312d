import type { Queryable } from '../../src/lib/infra/database/connection.ts';

/** Writes an event as the supervisor would. @returns its id */
export async function addEvent(
  owner: Queryable,
  installationId: string,
  event: { readonly service: string; readonly to: string; readonly reason?: string },
): Promise<number> {
  const [row] = await owner.query<{ id: number }>(
    `INSERT INTO service_events (installation_id, service, generation, from_state, to_state, event, reason, epoch, at)
     VALUES ($1, $2, 1, 'stopped', $3, 'start', $4, 1, now()) RETURNING id`,
    [installationId, event.service, event.to, event.reason ?? null],
  );
  if (row === undefined) throw new Error('no row');
  return row.id;
}
