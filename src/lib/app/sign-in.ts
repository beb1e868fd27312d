import { type CliSession, readSession, removeSession, saveSession } from '../infra/config/session-file.ts';
import { NotFoundError } from '../shared/errors.ts';
import type { CommandContext } from './command-context.ts';
import type { LocalLogin } from './local-login.ts';

export interface SignInRequest {
  /** An MCP server: the token opens it and nothing else, and is not kept. */
  readonly server?: string;
  readonly ttlSeconds?: number;
  readonly scopes?: readonly string[];
}

/**
 * Signs the local owner in, by the supervisor's socket; a sign-in for the instance itself is kept for later commands.
 *
 * @throws SupervisorUnavailableError when nothing runs; NotFoundError for a server that is not configured
 */
export async function signIn(context: CommandContext, request: SignInRequest): Promise<LocalLogin> {
  const supervisor = await context.supervisor();
  const login = (await supervisor.request('POST', '/v1/session/login', request)) as LocalLogin;
  if (request.server === undefined) {
    await saveSession(await context.instance(), await nameOf(context), {
      token: login.token,
      audience: login.audience,
      scopes: [...login.scopes],
      expiresAt: login.expiresAt,
      userName: login.user,
      sessionId: login.sessionId,
      issuer: (await context.profile()).security.issuer,
    });
  }
  return login;
}

/** The sign-in that this CLI keeps, be it still good or not. */
export async function keptSession(context: CommandContext): Promise<CliSession | undefined> {
  return await readSession(await context.instance(), await nameOf(context));
}

/**
 * Forgets the kept sign-in and revokes it.
 *
 * @returns what was kept; undefined when there was nothing
 * @throws SupervisorUnavailableError when it is forgotten here and could not be revoked there
 */
export async function signOut(context: CommandContext): Promise<CliSession | undefined> {
  const kept = await removeSession(await context.instance(), await nameOf(context));
  if (kept === undefined || Date.parse(kept.expiresAt) <= Date.now()) return kept;
  const supervisor = await context.supervisor();
  try {
    await supervisor.request('POST', '/v1/session/logout', { sessionId: kept.sessionId });
  } catch (error) {
    // Of a database that was made anew: nothing is there to be revoked.
    if (!(error instanceof NotFoundError)) throw error;
  }
  return kept;
}

async function nameOf(context: CommandContext): Promise<string> {
  return (await context.activeProfile()).name;
}
