import { UserService } from '../../domain/users/index.ts';
import type { UserId } from '../../shared/ids.ts';
import type { CommandContext } from '../command-context.ts';
import { UserCredentials } from './user-credentials.ts';

/**
 * What users bring for servers, for a command on the machine.
 * @param user whom it is about: name, mail address or id; the caller unless told
 * @throws NotFoundError when there is no such user
 */
export async function credentialsCommand(
  context: CommandContext,
  user: string | undefined,
): Promise<{ readonly credentials: UserCredentials; readonly userId: UserId }> {
  const servers = await context.mcpServers();
  const database = await context.database();
  const credentials = new UserCredentials({ database, sealer: await context.secrets(), servers });
  if (user !== undefined) return { credentials, userId: (await new UserService(database).find(user)).id };
  return { credentials, userId: (await context.currentActor()).userId };
}
