import { statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';
import type { Instance } from './instance.ts';
import { assertPrivate } from './permissions.ts';

const cliSessionSchema = z.strictObject({
  token: z.string(),
  audience: z.string(),
  scopes: z.array(z.string()),
  /** ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
  userName: z.string(),
  sessionId: z.string(),
  issuer: z.string(),
  /** From when on it is renewed, ISO 8601, UTC; absent when it is not, since somebody asked for a time of their own. */
  renewFrom: z.iso.datetime().optional(),
});

const sessionFileSchema = z.strictObject({
  version: z.literal(1),
  /** By name of the profile. */
  sessions: z.record(z.string(), cliSessionSchema),
});

/** The sign-in of the command line in one profile. */
export type CliSession = z.infer<typeof cliSessionSchema>;

/** The sign-in that is kept for a profile, be it still valid or not. */
export async function readSession(
  instance: Pick<Instance, 'projectDir'>,
  profile: string,
): Promise<CliSession | undefined> {
  return (await readSessions(instance)).get(profile);
}

/** Keeps a sign-in in place of the profile's former one, in a file that only the owner can read. */
export function saveSession(
  instance: Pick<Instance, 'projectDir'>,
  profile: string,
  session: CliSession,
): Promise<void> {
  return change(instance, (sessions) => {
    sessions.set(profile, session);
  });
}

/**
 * Keeps a sign-in in place of the one of that id.
 * @returns false when another one is kept by now, or none, and then nothing was changed
 */
export async function replaceSession(
  instance: Pick<Instance, 'projectDir'>,
  profile: string,
  formerId: string,
  session: CliSession,
): Promise<boolean> {
  let replaced = false;
  await change(instance, (sessions) => {
    replaced = sessions.get(profile)?.sessionId === formerId;
    if (replaced) sessions.set(profile, session);
  });
  return replaced;
}

/**
 * Forgets the sign-in of a profile.
 * @returns what was kept, for the caller to revoke
 */
export async function removeSession(
  instance: Pick<Instance, 'projectDir'>,
  profile: string,
): Promise<CliSession | undefined> {
  let removed: CliSession | undefined;
  await change(instance, (sessions) => {
    removed = sessions.get(profile);
    sessions.delete(profile);
  });
  return removed;
}

function sessionFile(instance: Pick<Instance, 'projectDir'>): string {
  return join(instance.projectDir, 'sessions/index.json');
}

/**
 * All sign-ins that are kept, by name of the profile.
 * @throws PreconditionError when the file is damaged, another user's or open to others, with the command that closes it
 */
export async function readSessions(instance: Pick<Instance, 'projectDir'>): Promise<Map<string, CliSession>> {
  const path = sessionFile(instance);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined) assertPrivate(path, stats, 'The file of sign-ins');
  const file = await readJson(path, sessionFileSchema);
  return new Map(Object.entries(file?.sessions ?? {}));
}

async function change(
  instance: Pick<Instance, 'projectDir'>,
  alter: (sessions: Map<string, CliSession>) => void,
): Promise<void> {
  const file = sessionFile(instance);
  await mkdir(join(instance.projectDir, 'sessions'), { recursive: true, mode: 0o700 });
  await withFileLock(`${file}.lock`, async () => {
    const sessions = await readSessions(instance);
    alter(sessions);
    const content = { version: 1, sessions: Object.fromEntries(sessions) };
    await writeFileAtomic(file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
  });
}
