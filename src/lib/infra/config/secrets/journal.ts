import { appendFile, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** What was done with secrets. */
export type SecretEvent = 'set' | 'revealed' | 'unset' | 'rotated' | 'retired';

/** Who uses this machine, for the record of what is done with secrets. */
export function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // no entry in passwd(5), as in many containers
  }
}

/** Where it is written what was done with the secrets of an instance, by whom and when. */
function secretJournal(instance: { readonly logsDir: string }): string {
  return join(instance.logsDir, 'secrets.log');
}

/**
 * Writes down what is done with secrets: a JSON line in the form of all our logs. Names and versions, never values.
 * @param facts about it, such as names and versions
 */
export async function noteSecretEvent(
  instance: { readonly logsDir: string },
  event: SecretEvent,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  const line = { level: 'info', time: new Date().toISOString(), service: 'secrets', pid: process.pid, by: localUser() };
  const text = `${JSON.stringify({ ...line, ...facts, msg: event })}\n`;
  await mkdir(instance.logsDir, { recursive: true, mode: 0o700 }); // logs may have been cleared away, folder and all
  await appendFile(secretJournal(instance), text, { mode: 0o600 });
}
