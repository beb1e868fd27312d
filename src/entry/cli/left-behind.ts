import type { CommandContext } from '../../lib/app/command-context.ts';
import type { SupervisorClient } from '../../lib/app/supervisor/client.ts';
import { ConfigInvalidError, ConflictError, isNotRunning } from '../../lib/shared/errors.ts';
import { leftRunning } from './views/services.ts';

/**
 * A supervisor that was killed leaves its services running: "nothing is running" would be untrue.
 *
 * @param then what the caller wanted, as in "then it can be stopped", and its command
 * @throws ConflictError naming the services that go on without a supervisor
 */
export async function refuseLeftBehind(
  context: CommandContext,
  then: { readonly done: string; readonly command: string },
): Promise<void> {
  const { leftBehind } = await import('../../lib/app/supervisor/left-behind.ts');
  const left = [...(await leftBehind((await context.instance()).id)).keys()];
  if (left.length === 0) return;
  throw new ConflictError(leftRunning(left), {
    hint: `A start takes over what runs; then it can be ${then.done}`,
    next: ['infra services start', then.command],
    data: { services: left },
  });
}

/**
 * That nothing runs is no answer to a name that nobody knows.
 *
 * @param names names or kinds, as the user wrote them
 * @throws NotFoundError with the nearest names; nothing when the configuration can't be read
 */
export async function refuseUnknown(context: CommandContext, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const { configuredServices } = await import('./configured-services.ts');
  const { selectServices } = await import('../../lib/app/supervisor/selection.ts');
  try {
    selectServices(names, await configuredServices(context));
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error; // who could know the names then?
  }
}

/**
 * The supervisor for an order about what is named.
 *
 * @throws ConflictError when services run without a supervisor; NotFoundError for a name that nobody knows;
 *   SupervisorUnavailableError when nothing runs
 */
export async function supervisorOrLeft(
  context: CommandContext,
  names: readonly string[],
  then: { readonly done: string; readonly command: string },
): Promise<SupervisorClient> {
  try {
    return await context.supervisor();
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    await refuseLeftBehind(context, then);
    await refuseUnknown(context, names);
    throw error;
  }
}
