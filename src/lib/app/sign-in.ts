import { tenantOfProfile } from '../infra/config/active-profile.ts';
import { type Instance, tenantInstance } from '../infra/config/instance.ts';
import {
  type CliSession,
  readSession,
  readSessions,
  removeSession,
  saveSession,
} from '../infra/config/session-file.ts';
import { AppError } from '../shared/errors.ts';
import type { CommandContext } from './command-context.ts';
import type { LocalLogin } from './local-login.ts';
import { keptForm, revoke } from './session-renewal.ts';

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
    const { issuer } = (await context.profile()).security;
    // A life of somebody's own choice ends as they chose.
    const renewable = request.ttlSeconds === undefined;
    await saveSession(await context.instance(), await nameOf(context), keptForm(login, issuer, renewable));
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
  await revoke(await context.supervisor(), kept.sessionId);
  return kept;
}

/** What became of the sign-in of one profile. */
export interface SignedOut {
  readonly profile: string;
  readonly user: string;
  /** False: it is forgotten here, and its token stays good until it ends, since nothing runs that could revoke it. */
  readonly revoked: boolean;
  readonly expiresAt: string;
}

/** Forgets the sign-ins of all profiles, and revokes each where its tenant runs. */
export async function signOutEverywhere(project: Instance, env: NodeJS.ProcessEnv): Promise<SignedOut[]> {
  const done: SignedOut[] = [];
  for (const profile of [...(await readSessions(project)).keys()].sort()) {
    const kept = await removeSession(project, profile);
    if (kept === undefined) continue;
    const { expiresAt, userName: user, sessionId } = kept;
    const revoked = Date.parse(expiresAt) <= Date.now() || (await revokedAt(project, profile, sessionId, env));
    done.push({ profile, user, revoked, expiresAt });
  }
  return done;
}

async function revokedAt(
  project: Instance,
  profile: string,
  sessionId: string,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  try {
    const instance = await tenantInstance(project, tenantOfProfile(project.projectDir, profile), env);
    if (instance === undefined) return false;
    const { SupervisorClient } = await import('./supervisor/client.ts');
    const client = await SupervisorClient.connect(instance.controlSocket, instance.runDir);
    try {
      await revoke(client, sessionId);
      return true;
    } finally {
      client.close();
    }
  } catch (error) {
    if (error instanceof AppError) return false; // the others are signed out all the same, and of this one it is told
    throw error;
  }
}

async function nameOf(context: CommandContext): Promise<string> {
  return (await context.activeProfile()).name;
}
