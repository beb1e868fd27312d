import { createHash } from 'node:crypto';
import { copyOut } from '../../infra/database/copy.ts';
import { quoteIdentifier as id } from '../../infra/database/identifiers.ts';
import { takeLock } from '../../infra/database/locks.ts';
import { migrationLock } from '../../infra/database/migrate.ts';
import { readApplied } from '../../infra/database/migration-state.ts';
import { migrationsSchema } from '../../infra/database/roles.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import type { SequenceFacts, TableFacts } from './backup-format.ts';
import { BackupWriter } from './backup-writer.ts';
import { adminOf, type DatabasePlace } from './connections.ts';
import { actAs, becomeMember, type Owners, ownersOf } from './owners.ts';
import type { OnProgress } from './progress.ts';
import { schemaStatements } from './schema-statements.ts';

export interface BackupRequest {
  /** Where the file is to lie; absolute. */
  readonly path: string;
  /** Version of this program. */
  readonly version: string;
  /** The extensions of the core, in the order in which their migrations are applied. */
  readonly extensions: readonly string[];
  /** How long to wait for a migration that is under way, in ms. */
  readonly lockWaitMs: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface BackupReport {
  readonly path: string;
  /** Of the file. */
  readonly size: number;
  /** Of the rows, uncompressed. */
  readonly bytes: number;
  readonly rows: number;
  readonly tables: readonly TableFacts[];
  /** What could not be taken along. */
  readonly skipped: readonly string[];
}

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly columns: readonly string[];
}

/**
 * Writes everything of the core and of the MCP servers into one file, as it was at one moment (one REPEATABLE READ snapshot), while
 * others go on writing. Takes as much memory whatever the size.
 * @throws ConflictError when the file is there already; DatabaseUnavailableError; TimeoutError while a migration runs. Nothing is
 *   left of a backup that failed
 */
export async function backup(place: DatabasePlace, request: BackupRequest): Promise<BackupReport> {
  const { admin, database } = await adminOf(place);
  const secretNames = await place.secrets.names();
  const writer = await BackupWriter.create(request.path);
  try {
    return await withSession(admin, { applicationName: 'systemprompt backup' }, async (session) => {
      const owners = await ownersOf(session, database, secretNames);
      await becomeMember(session, owners);
      const lock = { purpose: 'The backup', waitMs: request.lockWaitMs };
      await takeLock(session, { advisory: migrationLock }, lock);
      await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      const tables = await tablesOf(session, owners);
      await session.query('SET LOCAL row_security = off');
      for (const table of tables) {
        await actAs(session, table.owner, table.schema);
        await session.query(`LOCK TABLE ${nameOf(table)} IN ACCESS SHARE MODE`);
      }
      // Whoever wants to change one of them now has to wait for the transaction, and no migration waits for all of it.
      await session.query(`SELECT pg_advisory_unlock(${migrationLock})`);
      return await write(session, writer, { owners, tables, database }, request);
    });
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

async function write(
  session: Session,
  writer: BackupWriter,
  { owners, tables, database }: { owners: Owners; tables: readonly Table[]; database: string },
  request: BackupRequest,
): Promise<BackupReport> {
  await actAs(session, owners.core, 'public');
  const [server] = await session.query<{ version: string }>("SELECT current_setting('server_version') AS version");
  const applied = await readApplied(session, request.extensions);
  await writer.record({
    type: 'head',
    createdAt: new Date().toISOString(),
    version: request.version,
    serverVersion: server?.version ?? '',
    database,
    migrations: request.extensions.flatMap((extension) =>
      applied
        .filter((migration) => migration.extension === extension)
        .map(({ name, checksum }) => ({ extension, name, checksum })),
    ),
  });
  const skipped: string[] = [];
  for (const { schema, role, server: name } of owners.servers) {
    await actAs(session, role, schema);
    const { before, after, skipped: left } = await schemaStatements(session, schema);
    skipped.push(...left);
    await writer.record({ type: 'schema', schema, server: name, before: [...before], after: [...after] });
  }
  const facts: TableFacts[] = [];
  let bytes = 0;
  for (const table of tables) {
    const { schema, name, columns } = table;
    await writer.record({ type: 'table', schema, name, columns: [...columns] });
    await actAs(session, table.owner, schema);
    const sum = createHash('sha256');
    let own = 0;
    const rows = await copyOut(session, sourceOf(table), async (chunk) => {
      request.signal?.throwIfAborted();
      sum.update(chunk);
      own += chunk.length;
      await writer.rows(chunk);
      request.onProgress?.({
        tables: facts.length,
        ofTables: tables.length,
        table: `${schema}.${name}`,
        bytes: bytes + own,
      });
    });
    bytes += own;
    const fact = { schema, name, rows, bytes: own, sha256: sum.digest('hex') };
    await writer.record({ type: 'end', ...fact });
    facts.push(fact);
  }
  await writer.record({ type: 'manifest', tables: facts, sequences: await sequencesOf(session, owners), skipped });
  await session.query('COMMIT');
  const size = await writer.finish();
  return {
    path: request.path,
    size,
    bytes,
    rows: facts.reduce((sum, { rows }) => sum + rows, 0),
    tables: facts,
    skipped,
  };
}

/** A table without columns has nothing to be copied but the number of its rows. */
function sourceOf({ columns, ...table }: Table): string {
  return columns.length === 0 ? `(SELECT FROM ${nameOf(table)})` : `${nameOf(table)} (${columns.map(id).join(', ')})`;
}

function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${id(schema)}.${id(name)}`;
}

/** The tables that hold rows of ours: those of the core, and those in the schemas of MCP servers. */
async function tablesOf(session: Session, owners: Owners): Promise<Table[]> {
  return await session.query<Table>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
            ARRAY(SELECT attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     AND a.attgenerated = '' ORDER BY a.attnum) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)'
        AND CASE WHEN n.nspname = ANY ($2) THEN NOT c.relispartition AND pg_get_userbyid(c.relowner) = pg_get_userbyid(n.nspowner)
                 ELSE pg_get_userbyid(c.relowner) = $1 END
      ORDER BY n.nspname <> $3, n.nspname, c.relname`,
    [owners.core, owners.servers.map(({ schema }) => schema), migrationsSchema],
  );
}

/** Their values are no part of any snapshot: they may be ahead of the rows, which does no harm, and never behind. */
async function sequencesOf(session: Session, owners: Owners): Promise<SequenceFacts[]> {
  const found = await session.query<{ schema: string; name: string; owner: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'S' AND pg_get_userbyid(c.relowner) = ANY ($1) ORDER BY 1, 2`,
    [[owners.core, ...owners.servers.map(({ role }) => role)]],
  );
  const facts: SequenceFacts[] = [];
  for (const sequence of found) {
    await actAs(session, sequence.owner, sequence.schema);
    const [row] = await session.query<{ value: string; called: boolean }>(
      `SELECT last_value::text AS value, is_called AS called FROM ${nameOf(sequence)}`,
    );
    if (row !== undefined) facts.push({ schema: sequence.schema, name: sequence.name, ...row });
  }
  return facts;
}
