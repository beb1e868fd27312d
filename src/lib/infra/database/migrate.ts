import { dirname } from 'node:path';
import { AppError, InternalError } from '../../shared/errors.ts';
import type { Extension } from '../../shared/extension.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { holdersOf, isLockTimeout, lockTimeout, takeLock } from './locks.ts';
import { inDependencyOrder, type MigrationFile, readMigrations } from './migration-files.ts';
import {
  type AppliedMigration,
  coreRecord,
  ensureMigrationsTable,
  type MigrationRecord,
  pendingOf,
  readApplied,
} from './migration-state.ts';
import { type Session, withSession } from './session.ts';

export interface MigrationReport {
  /** Applied by this run, in order; `ms` is the time of its transaction. */
  readonly applied: readonly { readonly extension: string; readonly name: string; readonly ms: number }[];
  /** Known and not applied: empty after `migrate`. */
  readonly pending: readonly { readonly extension: string; readonly name: string }[];
}

export interface MigrationStatus {
  readonly applied: readonly AppliedMigration[];
  readonly pending: readonly { readonly extension: string; readonly name: string }[];
}

export interface MigrateOptions {
  /** How long to wait for another run to end, in ms; 15 s unless told. */
  readonly lockWaitMs?: number;
  /** How long to wait for a server that does not answer yet, in ms. */
  readonly waitMs?: number;
  /** Where it is on record what was applied; the core's place unless told. */
  readonly record?: MigrationRecord;
}

/** Taken by whoever migrates a database; ends with its connection. */
export const migrationLock = 7_365_112_900_432;
const LOCK_WAIT_MS = 15_000;

/**
 * Applies what is pending of all extensions, those first that others stand on, each migration in a transaction of its
 * own. A second run at the same time waits for the first and then finds nothing to do.
 * @param migrationsRoot folder that holds one folder of SQL files for each extension
 * @throws PreconditionError naming the file when an applied migration was edited, is gone, or would be preceded
 * @throws InternalError naming file and line when a migration fails; what came before it stays applied
 * @throws TimeoutError naming who holds the lock, when another run (or a lock on a table) does not end in time
 */
export async function migrate(
  owner: ConnectionConfig,
  extensions: readonly Extension[],
  migrationsRoot: string,
  options: MigrateOptions = {},
): Promise<MigrationReport> {
  const ordered = inDependencyOrder(extensions);
  const files = await readAll(ordered, migrationsRoot);
  const record = options.record ?? coreRecord;
  return withSession(owner, { applicationName: 'systemprompt migrate', ...waitOf(options) }, async (session) => {
    const ids = ordered.map((extension) => extension.id);
    // Without the lock first: nothing to do is what nearly every start finds.
    if (pendingOf(files, await readApplied(session, ids, record)).length === 0) return { applied: [], pending: [] };
    const waitMs = options.lockWaitMs ?? LOCK_WAIT_MS;
    // Bounds what the migrations wait for, too: a table that somebody holds must not stop a boot for ever.
    await takeLock(session, { advisory: migrationLock }, { purpose: 'The migration', waitMs });
    const before = await readApplied(session, ids, record);
    const pending = pendingOf(files, before);
    for (const id of ids) {
      const own = pending.filter((file) => file.extension === id);
      if (own.length > 0) await apply(session, id, own, { waitMs, record });
    }
    const known = new Set(before.map((migration) => `${migration.extension}/${migration.name}`));
    const after = await readApplied(session, ids, record);
    const applied = ids.flatMap((id) =>
      after.filter((migration) => migration.extension === id && !known.has(`${id}/${migration.name}`)),
    );
    return { applied: applied.map(({ extension, name, ms }) => ({ extension, name, ms })), pending: [] };
  });
}

/** What the database has and what it lacks; changes nothing. Throws as `migrate` does for files that do not fit. */
export async function migrationStatus(
  connection: ConnectionConfig,
  extensions: readonly Extension[],
  migrationsRoot: string,
  options: MigrateOptions = {},
): Promise<MigrationStatus> {
  const ordered = inDependencyOrder(extensions);
  const files = await readAll(ordered, migrationsRoot);
  return withSession(connection, { applicationName: 'systemprompt migrate', ...waitOf(options) }, async (session) => {
    const applied = await readApplied(
      session,
      ordered.map((extension) => extension.id),
      options.record,
    );
    const pending = pendingOf(files, applied).map(({ extension, name }) => ({ extension, name }));
    return { applied, pending };
  });
}

export async function readAll(extensions: readonly Extension[], root: string): Promise<MigrationFile[]> {
  return (await Promise.all(extensions.map((extension) => readMigrations(extension, root)))).flat();
}

function waitOf(options: MigrateOptions): { waitMs?: number } {
  return options.waitMs === undefined ? {} : { waitMs: options.waitMs };
}

/** Runs the pending files of one extension by node-pg-migrate, which is loaded only when there is something to do. */
async function apply(
  session: Session,
  extension: string,
  files: readonly MigrationFile[],
  { waitMs, record }: { readonly waitMs: number; readonly record: MigrationRecord },
): Promise<void> {
  const [first] = files;
  if (first === undefined) return;
  const { runner } = await import('node-pg-migrate');
  await session.query("SET TIME ZONE 'UTC'"); // run_on is a timestamp without one
  await ensureMigrationsTable(session, extension, record);
  const byPath = new Map(files.map((file) => [file.path, file]));
  // It tells which one it is at only in its log.
  let current = first;
  const quiet = () => {};
  const follow = (line: string) => {
    current = files.find((file) => line.includes(` ${file.name} (UP)`)) ?? current;
  };
  try {
    await runner({
      dbClient: session.client,
      dir: dirname(first.path),
      ignorePattern: '(?!.*\\.sql$).*',
      direction: 'up',
      migrationsTable: record.table(extension),
      migrationsSchema: record.schema,
      singleTransaction: false,
      checkOrder: false,
      noLock: true,
      logger: { debug: quiet, info: follow, warn: quiet, error: quiet },
      migrationLoaderStrategies: [
        {
          extensions: ['.sql'],
          loader: async (paths: string[]) =>
            paths.flatMap((path) => {
              const file = byPath.get(path);
              return file === undefined ? [] : [{ id: path, filePaths: [path], actions: actionsOf(file) }];
            }),
        },
      ],
    });
  } catch (error) {
    if (isLockTimeout(error)) {
      await session.query('ROLLBACK'); // the failed transaction answers no question
      throw lockTimeout(`Migration ${current.path}`, waitMs, await holdersOf(session, 'any table'), error);
    }
    throw failure(current, error);
  }
}

function actionsOf(file: MigrationFile) {
  return {
    up: (pgm: { sql(text: string): void }) => {
      pgm.sql(`SET LOCAL systemprompt.checksum = '${file.checksum}'`);
      pgm.sql(file.up);
    },
    down: false as const,
  };
}

/** What PostgreSQL said, with the line that its position points to. */
function failure(file: MigrationFile, error: unknown): AppError {
  return migrationFailure(
    file,
    file.sql,
    1,
    error,
    'The migration was rolled back; correct the file and migrate again.',
  );
}

/**
 * What PostgreSQL said about a part of a migration, with its place in the file.
 * @param firstLine where the part begins, counted from 1
 */
export function migrationFailure(
  file: MigrationFile,
  part: string,
  firstLine: number,
  error: unknown,
  hint: string,
): AppError {
  if (error instanceof AppError) return error;
  const reported = error as Error & { position?: string };
  const offset = Number(reported.position ?? Number.NaN);
  const line = firstLine - 1 + (Number.isNaN(offset) ? 1 : part.slice(0, offset - 1).split('\n').length);
  return new InternalError(`${file.path}:${line}  ${reported.message}`, {
    hint,
    next: ['infra db status'],
    data: { extension: file.extension, file: file.path, line },
    cause: error,
  });
}
