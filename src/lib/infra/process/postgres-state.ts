import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../config/atomic-file.ts';

const stateSchema = z.object({
  version: z.literal(1),
  /** PostgreSQL's data directory. */
  dataDir: z.string(),
  /** Folder of its unix socket; absent where there is none. */
  socketDir: z.string().optional(),
  port: z.number().int().min(1).max(65_535),
  /** The account that it runs as, when that is not the one that starts it. */
  account: z.object({ name: z.string(), uid: z.number().int(), gid: z.number().int() }).optional(),
  /** Of the cluster (pg_control), as text: it is a 64-bit number. */
  systemIdentifier: z.string(),
});

/** Where the embedded PostgreSQL of an instance is, in `run/postgres.json`: kept across starts. */
export type PostgresState = z.infer<typeof stateSchema>;

function fileOf(instance: { readonly runDir: string }): string {
  return join(instance.runDir, 'postgres.json');
}

/**
 * @returns undefined when it was never started
 * @throws PreconditionError when the file is damaged
 */
export function readPostgresState(instance: { readonly runDir: string }): Promise<PostgresState | undefined> {
  return readJson(fileOf(instance), stateSchema);
}

export function writePostgresState(instance: { readonly runDir: string }, state: PostgresState): Promise<void> {
  return writeFileAtomic(fileOf(instance), `${JSON.stringify(state, undefined, 2)}\n`, 0o600);
}
