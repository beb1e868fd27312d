import { UserService } from '../../domain/users/index.ts';
import type { UserId } from '../../shared/ids.ts';
import type { CommandContext } from '../command-context.ts';
import { BrowserSessions } from '../people/browser-sessions.ts';
import { OAuthServers } from './oauth/servers.ts';
import { type SignInServer, type SigningIn, UpstreamSignIns } from './oauth/sign-ins.ts';
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

/** A sign-in at a server elsewhere, as a command sees it. */
export interface SignInForCommand {
  readonly signIns: UpstreamSignIns;
  readonly by: SigningIn;
  /** Where its user begins it. */
  readonly url: string;
  /** The sign-in as it is now. */
  now(): Promise<SignInServer | undefined>;
}

/**
 * What users sign in at, for a command on the machine.
 * @param user as in {@link credentialsCommand}
 * @returns undefined for a server that nobody signs in at
 */
export async function signInCommand(
  context: CommandContext,
  server: string,
  user: string | undefined,
): Promise<SignInForCommand | undefined> {
  const servers = await context.mcpServers();
  if (!servers.some(({ name, external }) => name === server && external?.auth.type === 'oauth')) return undefined;
  const [database, sealer, externalUrl] = await Promise.all([
    context.database(),
    context.secrets(),
    context.externalUrl(),
  ]);
  const oauth = new OAuthServers({ servers, secrets: sealer, externalUrl });
  const browser = new BrowserSessions({ database, externalUrl });
  const signIns = new UpstreamSignIns({ database, sealer, servers: oauth, browser });
  const users = new UserService(database);
  const userId = user === undefined ? (await context.currentActor()).userId : (await users.find(user)).id;
  const by = { userId, admin: (await users.get(userId)).roles.includes('admin') };
  return {
    signIns,
    by,
    url: `${externalUrl}/auth/account#servers`,
    now: async () => (await signIns.list(by)).find((one) => one.server === server),
  };
}
