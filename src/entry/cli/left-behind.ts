import type { CommandContext } from '../../lib/app/command-context.ts';
import type { SupervisorClient } from '../../lib/app/supervisor/client.ts';
import { isNotRunning } from '../../lib/app/supervisor/running.ts';
import { ConflictError } from '../../lib/shared/errors.ts';
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

/** @throws ConflictError when services run without a supervisor; SupervisorUnavailableError when nothing runs */
export async function supervisorOrLeft(
  context: CommandContext,
  then: { readonly done: string; readonly command: string },
): Promise<SupervisorClient> {
  try {
    return await context.supervisor();
  } catch (error) {
    if (isNotRunning(error)) await refuseLeftBehind(context, then);
    throw error;
  }
}
