import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../../infra/config/atomic-file.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { ProcessRecord } from './run.ts';

const processSchema = z.object({
  instanceId: z.uuid(),
  bootId: z.string(),
  pid: z.int().min(2),
  startTicks: z.string(),
  port: z.int().optional(),
  artefactHash: z.string(),
  configHash: z.string(),
  startedAt: z.iso.datetime(),
  readyAt: z.iso.datetime().optional(),
  readyMs: z.number().optional(),
});

const schema = z.object({ generation: z.int().nonnegative(), process: processSchema.optional() });

/** The database's own process can't be a row before it runs: it is on record in a file, written as one step. */
export interface DatabaseProcess extends ProcessRecord {
  readonly readyAt: Date | undefined;
  readonly readyMs: number | undefined;
}

export interface DatabaseRecord {
  readonly generation: number;
  /** Absent when it was stopped. */
  readonly process: DatabaseProcess | undefined;
}

/** Keeps `run/postgres-process.json`. Writes are made in order; the last one wins. */
export class DatabaseRecordFile {
  readonly #file: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(runDir: string) {
    this.#file = join(runDir, 'postgres-process.json');
  }

  /** @throws PreconditionError when the file is damaged */
  async read(): Promise<DatabaseRecord> {
    const found = await readJson(this.#file, schema);
    if (found?.process === undefined) return { generation: found?.generation ?? 0, process: undefined };
    const { process: known } = found;
    return {
      generation: found.generation,
      process: {
        instanceId: known.instanceId as ServiceInstanceId,
        identity: { bootId: known.bootId, pid: known.pid, startTicks: known.startTicks },
        port: known.port,
        artefactHash: known.artefactHash,
        configHash: known.configHash,
        startedAt: new Date(known.startedAt),
        readyAt: known.readyAt === undefined ? undefined : new Date(known.readyAt),
        readyMs: known.readyMs,
      },
    };
  }

  /** @throws the file system's error */
  write(record: DatabaseRecord): Promise<void> {
    const { generation, process: known } = record;
    const text = JSON.stringify({ generation, ...(known === undefined ? {} : { process: plain(known) }) });
    const writing = this.#writing.catch(() => undefined).then(() => writeFileAtomic(this.#file, `${text}\n`, 0o600));
    // One failed write must not hold up the next, which carries newer facts; its own caller is told.
    this.#writing = writing;
    return writing;
  }

  /** Resolves when nothing is being written; a process that ended earlier would leave half a write behind. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined); // told to whoever wrote
  }
}

/** As the schema has it: JSON.stringify leaves out what is undefined and writes dates in ISO 8601. */
function plain({ identity, ...rest }: DatabaseProcess): object {
  return { ...rest, ...identity };
}
