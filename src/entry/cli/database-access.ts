import type { CommandContext } from '../../lib/app/command-context.ts';
import { Interrupts } from './interrupt.ts';
import type { Output } from './output/output.ts';

export interface DatabaseWork {
  /** What is being done, as a sentence for whoever comes meanwhile: `The database is being migrated`. */
  readonly purpose: string;
  /** No supervisor may run, and none may start meanwhile. */
  readonly alone?: boolean;
}

/**
 * Runs the work of a command while the database can be reached, also where nothing runs. An interrupt ends both.
 * @throws as `withDatabase` of the application does
 */
export async function withCommandDatabase<T>(
  context: CommandContext,
  output: Output,
  request: DatabaseWork,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { withDatabase } = await import('../../lib/app/database-access.ts');
  // The signal's name goes along: an interrupted command exits with its number.
  const stop = new AbortController();
  using _interrupts = new Interrupts((_count, signal) => stop.abort(signal));
  const access = {
    instance: await context.instance(),
    profile: await context.profile(),
    secrets: await context.secrets(),
    running: async () => (await context.runningStatus()) !== undefined,
  };
  const { session } = output;
  const started = (): void => {
    if (!session.json && session.stderr.isTTY === true)
      output.note('Nothing runs: the database is started for this alone');
  };
  return await withDatabase(access, { ...request, signal: stop.signal, started }, () => work(stop.signal));
}
