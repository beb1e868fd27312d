import type { Instance } from '../infra/config/instance.ts';
import { type CliSession, readSessions, replaceSession } from '../infra/config/session-file.ts';
import { NotFoundError } from '../shared/errors.ts';
import type { LocalLogin } from './local-login.ts';
import type { SupervisorClient } from './supervisor/client.ts';

/** From when on a sign-in is renewed: the last quarter of its life. Times in ms since the epoch. */
export function renewFrom(expiresAt: number, begunAt: number): number {
  return expiresAt - Math.max(0, (expiresAt - begunAt) / 4);
}

/** Whether a sign-in is to be renewed: it is still good, and the time for it has come. */
export function isDue(
  { renewFrom, expiresAt }: { readonly renewFrom?: string | undefined; readonly expiresAt: string },
  now: number,
): boolean {
  return renewFrom !== undefined && Date.parse(renewFrom) <= now && now < Date.parse(expiresAt);
}

/** A sign-in as it is kept. @param renewable whether it is renewed near its end */
export function keptForm(login: LocalLogin, issuer: string, renewable: boolean): CliSession {
  return {
    token: login.token,
    audience: login.audience,
    scopes: [...login.scopes],
    expiresAt: login.expiresAt,
    userName: login.user,
    sessionId: login.sessionId,
    issuer,
    ...(renewable ? { renewFrom: new Date(renewFrom(Date.parse(login.expiresAt), Date.now())).toISOString() } : {}),
  };
}

/**
 * Renews a kept sign-in that is near its end, by the right of the local owner who has the control socket: the new one has the
 * same scopes, the former one is revoked. One that has ended or was revoked (its user suspended, say), or that has a life of
 * somebody's own choice, is left.
 * @returns whether it was renewed
 * @throws what the supervisor threw
 */
export async function renewSession(
  project: Pick<Instance, 'projectDir'>,
  profile: string,
  supervisor: Pick<SupervisorClient, 'request'>,
  now = Date.now(),
): Promise<boolean> {
  const kept = (await readSessions(project)).get(profile);
  if (kept === undefined || !isDue(kept, now)) return false;
  // Who was signed out elsewhere is not signed in again without having asked for it.
  await supervisor.request('POST', '/v1/actor', { token: kept.token });
  const login = (await supervisor.request('POST', '/v1/session/login', { scopes: kept.scopes })) as LocalLogin;
  const renewed = keptForm(login, kept.issuer, true);
  const replaced = await replaceSession(project, profile, kept.sessionId, renewed);
  // Of two commands at once one is later: what it was given is used by nobody.
  const useless = replaced ? kept.sessionId : renewed.sessionId;
  await revoke(supervisor, useless);
  return replaced;
}

/** Revokes a sign-in at the instance that gave it. @throws what the supervisor threw */
export async function revoke(supervisor: Pick<SupervisorClient, 'request'>, sessionId: string): Promise<void> {
  try {
    await supervisor.request('POST', '/v1/session/logout', { sessionId });
  } catch (error) {
    // Of a database that was made anew: nothing is there to be revoked.
    if (!(error instanceof NotFoundError)) throw error;
  }
}
