import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../atomic-file.ts';
import { secretName } from '../secret-reference.ts';

/** How many versions of a secret are kept, the current one included. */
const versionsKept = 5;

const entries = <T extends z.ZodType>(value: T) => z.record(z.string().regex(secretName), value);
const moment = z.iso.datetime();

const version = z.strictObject({
  number: z.int().min(1),
  created_at: moment,
  /** The user of this machine who set it; absent for what the system made itself. */
  by: z.string().max(200).optional(),
  jwe: z.string(),
});

const secret = z.strictObject({ current: z.int().min(1), versions: z.array(version).min(1) });

const firstFormat = z.strictObject({ version: z.literal(1), secrets: entries(z.string()) });
const secondFormat = z.strictObject({
  version: z.literal(2),
  /** The master key that everything here is encrypted under, by its name; absent as long as there is nothing. */
  key: z.string().optional(),
  secrets: entries(secret),
  /** Master keys of before, encrypted under that of today: they only open what is sealed elsewhere. */
  former_keys: z.array(z.strictObject({ kid: z.string(), retired_at: moment, jwe: z.string() })).default([]),
  /** The key of fingerprints when it is not the one that follows from the master key. */
  fingerprint_key: z.string().optional(),
});
const fileSchema = z.discriminatedUnion('version', [firstFormat, secondFormat]);

export type SecretsFile = z.output<typeof secondFormat>;
type StoredSecret = z.output<typeof secret>;
export type StoredVersion = z.output<typeof version>;

/** The content of secrets.json, and whether it is still written in the format of before. */
export interface ReadSecrets {
  readonly content: SecretsFile;
  readonly outdated: boolean;
}

/**
 * Reads secrets.json in either format; nothing there is an empty store. A value of the first format is version 1, set when
 * the file was last written, in an envelope that names the secret alone.
 * @throws PreconditionError when the file is damaged; never quotes what it holds
 */
export async function readSecrets(file: string): Promise<ReadSecrets> {
  const found = await readJson(file, fileSchema);
  if (found === undefined) return { content: { version: 2, secrets: {}, former_keys: [] }, outdated: false };
  if (found.version === 2) return { content: found, outdated: false };
  const written = (await stat(file)).mtime.toISOString();
  const secrets = Object.entries(found.secrets).map(([name, jwe]): [string, StoredSecret] => [
    name,
    { current: 1, versions: [{ number: 1, created_at: written, jwe }] },
  ]);
  return { content: { version: 2, secrets: Object.fromEntries(secrets), former_keys: [] }, outdated: true };
}

export function writeSecrets(file: string, content: SecretsFile): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
}

/** What an envelope says it holds: one version of one secret. No name has a colon in it. */
export function subjectOf(name: string, number: number): string {
  return `secret:${name}:${number}`;
}

/** As {@link subjectOf}, in the first format. */
export function subjectOfFirstFormat(name: string): string {
  return `secret:${name}`;
}

/** The version of that number, the current one without; undefined when it is not kept. */
export function versionOf(content: SecretsFile, name: string, number?: number): StoredVersion | undefined {
  if (!Object.hasOwn(content.secrets, name)) return undefined;
  const found = content.secrets[name];
  return found?.versions.find((entry) => entry.number === (number ?? found.current));
}

/** The secrets with one version more, the oldest beyond {@link versionsKept} dropped. */
export function withVersion(content: SecretsFile, name: string, added: StoredVersion): SecretsFile {
  const before = Object.hasOwn(content.secrets, name) ? (content.secrets[name]?.versions ?? []) : [];
  const versions = [...before, added].slice(-versionsKept);
  return { ...content, secrets: { ...content.secrets, [name]: { current: added.number, versions } } };
}
