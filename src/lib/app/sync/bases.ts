import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../../infra/config/atomic-file.ts';

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** Of the database that the digests are about. */
  store: z.string(),
  bases: z.record(z.string(), z.string()),
});

/** The digests with which files and database were last the same; of another database than `store` they say nothing. */
export async function readBases(instanceDir: string, store: string): Promise<Map<string, string>> {
  const found = await readJson(basesFile(instanceDir), fileSchema);
  return new Map(found?.store === store ? Object.entries(found.bases) : []);
}

export async function writeBases(
  instanceDir: string,
  store: string,
  bases: ReadonlyMap<string, string>,
): Promise<void> {
  const sorted = [...bases].sort(([a], [b]) => (a < b ? -1 : 1));
  const content = { version: 1, store, bases: Object.fromEntries(sorted) };
  await writeFileAtomic(basesFile(instanceDir), `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
}

/** Where they are kept: each checkout knows for itself what it has seen. */
export function basesFile(instanceDir: string): string {
  return join(instanceDir, 'sync.json');
}
