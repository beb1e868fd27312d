import type { Booting } from './boot.ts';
import type { ManagedService } from './managed-service.ts';
import { inOrder } from './order.ts';
import type { ServicesResult } from './status.ts';

// Orders about several services, carried out along what they need of each other.

type Ordered = Pick<Booting, 'host' | 'services' | 'closing' | 'service'>;

/** The services that an order names, and those that it takes along. */
export function reached(
  supervisor: Pick<Booting, 'service'>,
  names: Iterable<string>,
  along: (service: ManagedService) => readonly string[],
): Set<string> {
  const wanted = new Set<string>();
  const add = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const next of along(supervisor.service(name))) add(next);
  };
  for (const name of names) add(name);
  return wanted;
}

/** What became of an order. @param good the states that it was to bring about */
export function resultOf(
  { services }: Pick<Booting, 'services'>,
  names: ReadonlySet<string>,
  good: readonly string[],
): ServicesResult {
  const found = services.filter(({ name }) => names.has(name)).map((service) => service.status());
  return { services: found, failed: found.filter(({ state }) => !good.includes(state)).map(({ name }) => name) };
}

/** Whether a stop came after the order that is being carried out. */
export function overruled({ host, closing }: Ordered, name: string): boolean {
  return closing.aborted || host.books.stoppedOnPurpose.has(name);
}

/** @param other what is done to a service instead of a start; `undefined` for what is started */
export async function startInOrder(
  supervisor: Ordered,
  names: ReadonlySet<string>,
  other: (service: ManagedService) => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const nodes = supervisor.services.filter(({ name }) => names.has(name));
  await inOrder(nodes, { parallel: supervisor.host.policy.parallelStarts }, async (service) => {
    if (overruled(supervisor, service.name)) return;
    const done = other(service);
    if (done !== undefined) return await done;
    if (service.state === 'ready') return;
    const missing = service.dependsOn.find((name) => !['ready', 'unhealthy'].includes(supervisor.service(name).state));
    if (missing === undefined) await service.start();
    else service.refuse(`${missing} is not ready`);
  });
}

/** @param still whether a service is still to be stopped when its turn comes */
export async function stopInOrder(
  services: readonly ManagedService[],
  now: AbortSignal,
  still: (service: ManagedService) => boolean = () => true,
): Promise<void> {
  await inOrder(services, { parallel: services.length, reversed: true }, async (service) => {
    if (!still(service)) return;
    await service.stop({ now });
    await service.quiet();
  });
}
