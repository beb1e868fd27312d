import { PreconditionError } from '../../shared/errors.ts';
import { quoteIdentifier as id, quoteLiteral } from './identifiers.ts';
import type { MigrationFile } from './migration-files.ts';
import { migrationsSchema } from './roles.ts';
import type { Session } from './session.ts';

/** A migration that the database has. */
export interface AppliedMigration {
  readonly extension: string;
  readonly name: string;
  readonly checksum: string;
  readonly appliedAt: Date;
  readonly ms: number;
}

/** Where it is on record what was applied: a table for each extension. */
export interface MigrationRecord {
  readonly schema: string;
  /** Name of the table of one extension. */
  table(extension: string): string;
}

/** Of the core: a schema of its own. */
export const coreRecord: MigrationRecord = { schema: migrationsSchema, table: (extension) => extension };

/** Of an MCP server, whose role has nothing but its own schema. */
export function serverRecord(schema: string): MigrationRecord {
  return { schema, table: () => migrationsSchema };
}

/** What the database has of these extensions; nothing when it was never migrated. Two round trips. */
export async function readApplied(
  session: Session,
  extensions: readonly string[],
  record: MigrationRecord = coreRecord,
): Promise<AppliedMigration[]> {
  const byTable = new Map(extensions.map((extension) => [record.table(extension), extension]));
  const tables = await session.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY ($2)`,
    [record.schema, [...byTable.keys()]],
  );
  if (tables.length === 0) return [];
  const selects = tables.map(
    ({ name }) =>
      `SELECT ${quoteLiteral(byTable.get(name) ?? name)} AS extension, id, name, checksum, run_on AT TIME ZONE 'UTC' AS "appliedAt", ms FROM ${id(record.schema)}.${id(name)}`,
  );
  return session.query<AppliedMigration>(`${selects.join(' UNION ALL ')} ORDER BY extension, id`);
}

/**
 * The files that are still to be applied.
 * @throws PreconditionError naming the file when an applied one was edited or is gone, or a new one comes before it
 */
export function pendingOf(files: readonly MigrationFile[], applied: readonly AppliedMigration[]): MigrationFile[] {
  const byName = new Map(files.map((file) => [`${file.extension}/${file.name}`, file]));
  const done = new Set(applied.map((migration) => `${migration.extension}/${migration.name}`));
  for (const migration of applied) {
    const file = byName.get(`${migration.extension}/${migration.name}`);
    if (file === undefined) {
      throw new PreconditionError(
        `The database has a migration whose file is missing: ${migration.extension}/${migration.name}.sql.`,
        {
          hint: 'This version is older than the database, or the file was removed: install the newer version, or restore the file.',
          data: { extension: migration.extension, file: `${migration.name}.sql` },
        },
      );
    }
    if (file.checksum !== migration.checksum) {
      throw new PreconditionError(`A migration was edited after it had been applied: ${file.path}.`, {
        hint: 'Restore the file as it was, and write the change as a migration with the next number.',
        data: { extension: file.extension, file: file.path, applied: migration.checksum, found: file.checksum },
      });
    }
  }
  const pending = files.filter((file) => !done.has(`${file.extension}/${file.name}`));
  for (const file of pending) refuseOutOfOrder(file, applied);
  return pending;
}

function refuseOutOfOrder(file: MigrationFile, applied: readonly AppliedMigration[]): void {
  const later = applied.find(
    (migration) =>
      migration.extension === file.extension && Number.parseInt(migration.name, 10) > Number.parseInt(file.name, 10),
  );
  if (later === undefined) return;
  throw new PreconditionError(
    `A migration comes before one that is applied already: ${file.path} before ${later.name}.`,
    {
      hint: 'Give it the next free number.',
      data: { extension: file.extension, file: file.path },
    },
  );
}

/**
 * Makes the table in which one extension's migrations are recorded: node-pg-migrate's own columns and ours. The checksum
 * comes from a setting that the migration's transaction sets, so that it is written in the same transaction.
 */
export async function ensureMigrationsTable(
  session: Session,
  extension: string,
  record: MigrationRecord = coreRecord,
): Promise<void> {
  await session.query(`CREATE TABLE IF NOT EXISTS ${tableOf(record, extension)} (
    id serial PRIMARY KEY,
    name varchar(255) NOT NULL UNIQUE,
    run_on timestamp NOT NULL,
    checksum text NOT NULL DEFAULT current_setting('systemprompt.checksum'),
    ms double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000
  )`);
}

export function tableOf(record: MigrationRecord, extension: string): string {
  return `${id(record.schema)}.${id(record.table(extension))}`;
}
