import type { Instance } from '../../infra/config/instance.ts';
import { ensureRuntimeDir } from '../../infra/config/runtime-dir.ts';
import { markedProcesses } from '../../infra/process/marker.ts';
import { rootInstancesDir } from '../../infra/process/postgres-place.ts';
import type { CommandContext } from '../command-context.ts';
import { busyInstance } from '../supervisor/busy.ts';
import { bindControlSocket } from '../supervisor/lock.ts';
import type { InstanceStatus } from '../supervisor/status.ts';
import { deadSocketFolders, goneInstances } from './gone-instances.ts';
import { interruptedWrites, oldLogs, staleRunFiles } from './instance-leftovers.ts';
import type { CleanupItem, Findings } from './item.ts';
import { orphanItem, orphansOf } from './orphans.ts';

export interface CleanupResult {
  readonly removed: readonly CleanupItem[];
  readonly failed: readonly { readonly item: CleanupItem; readonly error: string }[];
}

/**
 * Looks for what nobody needs: of the instance, where there is one, and of instances that are gone. Changes nothing.
 * @throws SupervisorUnavailableError when the control socket is another user's
 */
export async function findLeftovers(context: CommandContext): Promise<Findings> {
  const instance = await context.findInstance();
  const status = instance === undefined ? undefined : await context.runningStatus();
  const own = instance === undefined ? [] : await leftoversOf(instance, status, await serverNames(context));
  const shared = `/tmp/systemprompt-${process.getuid?.() ?? 0}`;
  const [data, sockets] = await Promise.all([
    goneInstances(rootInstancesDir, instance?.id),
    deadSocketFolders(shared, instance?.runtimeDir),
  ]);
  return { items: [...own, ...sockets.items, ...data.items], kept: data.kept };
}

async function leftoversOf(
  instance: Instance,
  status: InstanceStatus | undefined,
  servers: readonly string[] | undefined,
): Promise<CleanupItem[]> {
  const orphans = await orphansOf(instance.id, status);
  // The database last: the others still have something to write there.
  orphans.sort((a, b) => Number(a.service === 'database') - Number(b.service === 'database'));
  const running = new Set<string>((await markedProcesses(instance.id)).map(({ instanceId }) => instanceId));
  return [
    ...orphans.map((orphan) => orphanItem(instance.id, orphan, status !== undefined)),
    // While a service goes on, what it listens on answers and is not among them.
    ...(status === undefined ? await staleRunFiles(instance) : []),
    ...interruptedWrites(instance),
    ...(await oldLogs(instance, running, servers)),
  ];
}

/** Unknown when the configuration does not hold: then no log is taken for one of a server that is gone. */
async function serverNames(context: CommandContext): Promise<readonly string[] | undefined> {
  try {
    return (await context.mcpServers()).map(({ name }) => name);
  } catch {
    return undefined;
  }
}

/**
 * Removes what was agreed to, as far as a second look finds it still. Where no supervisor runs, the instance's lock is held
 * meanwhile, so that none can start in the middle of it.
 *
 * @param agreed what {@link findLeftovers} found and somebody agreed to
 * @throws ConflictError when a supervisor has started since
 */
export async function removeLeftovers(context: CommandContext, agreed: readonly CleanupItem[]): Promise<CleanupResult> {
  const instance = await context.findInstance();
  const alone = instance !== undefined && (await context.runningStatus()) === undefined;
  const stillThere = new Set((await findLeftovers(context)).items.map(({ what }) => what));
  const items = agreed.filter(({ what }) => stillThere.has(what));
  if (!alone) return await removeAll(items);
  await ensureRuntimeDir(instance);
  const lock = await bindControlSocket(busyInstance('The instance is being cleaned up.'), instance.controlSocket);
  try {
    // Having taken the lock has replaced the stale socket.
    const result = await removeAll(items.filter(({ what }) => what !== instance.controlSocket));
    const socket = items.filter(({ what }) => what === instance.controlSocket);
    return { ...result, removed: [...socket, ...result.removed] };
  } finally {
    await lock.release();
  }
}

async function removeAll(items: readonly CleanupItem[]): Promise<CleanupResult> {
  const removed: CleanupItem[] = [];
  const failed: { item: CleanupItem; error: string }[] = [];
  for (const item of items) {
    try {
      await item.remove();
      removed.push(item);
    } catch (error) {
      failed.push({ item, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return { removed, failed };
}
