import { FileFollower } from '../../infra/config/file-follower.ts';
import { AppError, ConflictError, DatabaseUnavailableError } from '../../shared/errors.ts';
import type { SupervisorLog } from './service-host.ts';
import type { Supervisor } from './supervisor.ts';

/** A checkout or a save of several files counts as one change; one that never ends is looked at all the same. */
const quietMs = 500;
const atMostMs = 5_000;

/**
 * Lets a system follow its files: each change is read and checked, and brought into force or refused as a whole. Begun
 * before the boot reads them, so that no change falls in between; what changes during the boot is looked at after it.
 * @param paths what the configuration is read from, and where more of it may appear
 * @returns a function that ends it
 */
export async function followConfiguration(
  supervisor: Supervisor,
  paths: () => readonly string[],
  log: SupervisorLog,
): Promise<() => Promise<void>> {
  let looking: Promise<void> | undefined;
  let again = false;
  const follower = new FileFollower({
    quietMs,
    atMostMs,
    onChange: () => {
      again = true;
      looking ??= look().finally(() => {
        looking = undefined;
      });
    },
    onError: (error) => {
      log.error({ err: error }, 'changes of the configuration may go unnoticed: it can not be watched');
    },
  });

  async function look(): Promise<void> {
    while (again && !supervisor.closing.aborted) {
      again = false;
      try {
        await supervisor.booted(supervisor.closing);
        await supervisor.fence.held(supervisor.closing);
        await supervisor.reconcile({ unasked: true });
      } catch (error) {
        if (supervisor.closing.aborted || error instanceof ConflictError) return;
        failed(error);
      }
      // Where else it is read from now, files may have changed between the reading and the watching.
      if (await follower.follow(paths())) again = true;
    }
  }

  function failed(error: unknown): void {
    if (error instanceof DatabaseUnavailableError) again = true;
    // What stands against the configuration has been told by the reconcile itself.
    else if (!(error instanceof AppError)) log.error({ err: error }, 'a change of the configuration was not taken up');
  }

  await follower.follow(paths());
  return async () => {
    await follower.close();
    await looking;
  };
}
