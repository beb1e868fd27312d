import {
  activeProfile,
  type ProfileOrigin,
  type ProfileRequest,
  tenantOfProfile,
} from '../infra/config/active-profile.ts';
import type { Instance } from '../infra/config/instance.ts';
import { profileNames } from '../infra/config/profile.ts';
import { readSessions } from '../infra/config/session-file.ts';
import { AppError } from '../shared/errors.ts';

/** A profile, and who this command line is signed in as there. */
export interface ProfileSession {
  readonly profile: string;
  /** Unknown when the profile says it in a way that can't be read. */
  readonly tenant: string | undefined;
  readonly active: boolean;
  readonly state: 'signed in' | 'ended' | 'not signed in';
  readonly user?: string;
  /** ISO 8601, UTC. */
  readonly expiresAt?: string;
}

/** All profiles of a project with their sign-ins; also sign-ins of profiles that are no longer there. */
export async function profileSessions(
  project: Instance,
  request: ProfileRequest,
  now = Date.now(),
): Promise<ProfileSession[]> {
  const sessions = await readSessions(project);
  const active = activeProfile(project, request).name;
  const names = new Set([...(await profileNames(project)), ...sessions.keys()]);
  return [...names].sort().map((profile) => {
    const session = sessions.get(profile);
    const facts = { profile, tenant: tenantOrNothing(project.projectDir, profile), active: profile === active };
    if (session === undefined) return { ...facts, state: 'not signed in' };
    const { userName: user, expiresAt } = session;
    return { ...facts, state: Date.parse(expiresAt) > now ? 'signed in' : 'ended', user, expiresAt };
  });
}

function tenantOrNothing(projectDir: string, profile: string): string | undefined {
  try {
    return tenantOfProfile(projectDir, profile);
  } catch (error) {
    if (error instanceof AppError) return undefined; // it is said when that profile is used
    throw error;
  }
}

/** Why a profile is the active one, in words. */
export function originInWords(from: ProfileOrigin, file: string | undefined): string {
  const words: Record<ProfileOrigin, string> = {
    flag: 'by --profile',
    environment: 'by SYSTEMPROMPT_PROFILE',
    directory: `by ${file ?? 'the folder'}`,
    selection: `selected for the project${file === undefined ? '' : ` by ${file}`}`,
    only: 'the only one',
    default: 'by default',
  };
  return words[from];
}
