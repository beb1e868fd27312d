import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';
import type { Instance } from './instance.ts';

const cliSessionSchema = z.strictObject({
  token: z.string(),
  audience: z.string(),
  scopes: z.array(z.string()),
  /** ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
  userName: z.string(),
  sessionId: z.string(),
  issuer: z.string(),
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
  return (await readAll(instance)).get(profile);
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

async function readAll(instance: Pick<Instance, 'projectDir'>): Promise<Map<string, CliSession>> {
  const file = await readJson(sessionFile(instance), sessionFileSchema);
  return new Map(Object.entries(file?.sessions ?? {}));
}

async function change(
  instance: Pick<Instance, 'projectDir'>,
  alter: (sessions: Map<string, CliSession>) => void,
): Promise<void> {
  const file = sessionFile(instance);
  await mkdir(join(instance.projectDir, 'sessions'), { recursive: true, mode: 0o700 });
  await withFileLock(`${file}.lock`, async () => {
    const sessions = await readAll(instance);
    alter(sessions);
    const content = { version: 1, sessions: Object.fromEntries(sessions) };
    await writeFileAtomic(file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
  });
}
