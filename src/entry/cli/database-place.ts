import type { CommandContext } from '../../lib/app/command-context.ts';
import type { DatabasePlace } from '../../lib/app/database/connections.ts';

/** The database that a command is about. @throws PreconditionError when there is no instance, ConfigInvalidError */
export async function databasePlace(context: CommandContext): Promise<DatabasePlace> {
  return {
    instance: await context.instance(),
    profile: await context.profile(),
    secrets: await context.secrets(),
  };
}
