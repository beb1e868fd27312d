import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../infra/database/connection.ts';
import type { ManagedService } from './managed-service.ts';
import type { SupervisorHost } from './supervisor-host.ts';

// What a stop of everything owes the database, which may be away.

/** How long a stop waits for a database that is away before it goes ahead without. */
const fenceWaitMs = 2_000;

/**
 * A stop that a person ordered is carried out even if the database stays away: the local lock is still ours, so nobody
 * else on this machine acts on these processes.
 */
export async function forceWhenAway(
  host: SupervisorHost,
  store: Database | undefined,
  now: AbortSignal,
): Promise<void> {
  if (host.fence.state === 'held' || store === undefined) return host.force();
  const bound = AbortSignal.any([now, AbortSignal.timeout(fenceWaitMs)]);
  await host.fence.held(bound).catch(() => {
    if (host.fence.state !== 'lost') host.force();
  });
}

/** The last words to the database, before it is stopped itself. */
export async function endStore(
  host: SupervisorHost,
  services: readonly ManagedService[],
  store: Database | undefined,
): Promise<void> {
  const purposely = new Set(host.books.stoppedOnPurpose);
  host.books.stoppedOnPurpose.clear();
  for (const service of services) if (purposely.has(service.name)) host.books.record(service);
  const database = services.find(({ spec }) => spec.kind === 'database');
  if (database !== undefined) host.books.recordStopped(database);
  await host.recorder.flush(fenceWaitMs);
  host.force();
  host.recorder.close();
  await Promise.race([store?.close(), delay(fenceWaitMs, undefined, { ref: false })]);
}
