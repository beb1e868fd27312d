import { mcpConnectionUrl } from '../../infra/database/connections.ts';
import { copyIn } from '../../infra/database/copy.ts';
import { quoteIdentifier as id } from '../../infra/database/identifiers.ts';
import { inDependencyOrder, type MigrationFile, readMigrations } from '../../infra/database/migration-files.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import { PreconditionError } from '../../shared/errors.ts';
import type { Extension } from '../../shared/extension.ts';
import type { BackupHead, SequenceFacts, TableRecord } from './backup-format.ts';
import type { BackupItem } from './backup-reader.ts';
import { readBackup } from './backup-reader.ts';
import { adminOf, type DatabasePlace } from './connections.ts';
import { actAs, becomeMember, type Owners, ownersOf } from './owners.ts';
import type { OnProgress } from './progress.ts';
import { beginAlone, runMigrations, takeAllAway } from './remake.ts';
import { runInAnyOrder } from './schema-statements.ts';
import { type VerifiedBackup, verifyBackup } from './verify-backup.ts';

export interface RestoreRequest {
  readonly path: string;
  readonly extensions: readonly Extension[];
  readonly migrationsRoot: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** What a restore will do, as far as it can be known without doing it. */
export interface RestorePlan extends VerifiedBackup {
  readonly path: string;
  /** The migrations of the core up to the level of the backup. */
  readonly files: readonly MigrationFile[];
  /** Those that this version has beyond it: applied afterwards. */
  readonly later: readonly MigrationFile[];
}

/**
 * Verifies a backup, and that this version can bring it back. Needs no database.
 * @throws NotFoundError; PreconditionError when it is damaged, or newer than this version, naming what is not known
 */
export async function planRestore(request: RestoreRequest): Promise<RestorePlan> {
  const verified = await verifyBackup(request.path, request.signal);
  const ordered = inDependencyOrder(request.extensions);
  const known = (
    await Promise.all(ordered.map((extension) => readMigrations(extension, request.migrationsRoot)))
  ).flat();
  refuseUnknown(request.path, verified.head, known);
  const has = new Set(verified.head.migrations.map(({ extension, name }) => `${extension}/${name}`));
  const inBackup = ({ extension, name }: MigrationFile): boolean => has.has(`${extension}/${name}`);
  return {
    ...verified,
    path: request.path,
    files: known.filter(inBackup),
    later: known.filter((file) => !inBackup(file)),
  };
}

function refuseUnknown(path: string, head: BackupHead, known: readonly MigrationFile[]): void {
  for (const { extension, name, checksum } of head.migrations) {
    const file = known.find((candidate) => candidate.extension === extension && candidate.name === name);
    if (file?.checksum === checksum) continue;
    const what =
      file === undefined ? 'has a migration that this version does not know' : 'has another migration of that name';
    throw new PreconditionError(`The backup ${path} ${what}: ${extension}/${name}.`, {
      hint: `It was made by version ${head.version}: restore it with that version or a newer one. Nothing was changed.`,
      data: { extension, name, version: head.version },
    });
  }
}

/**
 * Puts a backup in the place of everything that the database holds, in one transaction: afterwards it is as the backup has it, or
 * as it was before. The roles must be there (see `prepareRestore`); migrations beyond the backup are not applied.
 * @returns how many rows there are
 * @throws PreconditionError naming who uses the database, or when a table took fewer rows than the backup has
 */
export async function restore(place: DatabasePlace, plan: RestorePlan, request: RestoreRequest): Promise<number> {
  const { admin, database } = await adminOf(place);
  const secretNames = await place.secrets.names();
  return await withSession(admin, { applicationName: 'systemprompt restore' }, async (session) => {
    const owners = await ownersOf(session, database, secretNames);
    await becomeMember(session, owners);
    await beginAlone(session, 'The restore');
    await takeAllAway(session, owners);
    await runMigrations(session, owners, plan.files);
    for (const { schema, before } of plan.schemas) {
      await actAs(session, roleOf(owners, schema), schema);
      await runInAnyOrder(session, before);
    }
    const rows = await fill(session, owners, plan, request);
    for (const { schema, after } of plan.schemas) {
      await actAs(session, roleOf(owners, schema), schema);
      await runInAnyOrder(session, after);
    }
    for (const sequence of plan.manifest.sequences) await setSequence(session, owners, sequence);
    request.signal?.throwIfAborted();
    await session.query('COMMIT');
    return rows;
  });
}

/** Makes the roles and empty schemas of the MCP servers in a backup. The core's must be there. */
export async function prepareRestore(place: DatabasePlace, plan: RestorePlan): Promise<void> {
  for (const { server } of plan.schemas) await mcpConnectionUrl(place.instance, place.profile, place.secrets, server);
}

/** What has to be out of the way while rows come in, and to be put back. */
interface Obstacles {
  readonly away: readonly string[];
  readonly back: readonly string[];
}

async function fill(session: Session, owners: Owners, plan: RestorePlan, request: RestoreRequest): Promise<number> {
  await actAs(session, owners.core, 'public');
  const obstacles = await obstaclesOf(session, owners.core);
  for (const text of obstacles.away) await session.query(text);
  const items = readBackup(plan.path);
  const facts = new Map(plan.manifest.tables.map((table) => [`${table.schema}.${table.name}`, table]));
  let tables = 0;
  let bytes = 0;
  let rows = 0;
  for await (const { record } of items) {
    if (record.type !== 'table') continue;
    const shown = `${record.schema}.${record.name}`;
    const server = owners.servers.find(({ schema }) => schema === record.schema);
    await actAs(session, server?.role ?? owners.core, record.schema);
    if (server === undefined) await removeRows(session, record);
    const taken = await copyIn(
      session,
      targetOf(record),
      rowsOf(items, (length) => {
        request.signal?.throwIfAborted();
        bytes += length;
        request.onProgress?.({ tables, ofTables: facts.size, table: shown, bytes });
      }),
    );
    if (taken !== facts.get(shown)?.rows) {
      throw new PreconditionError(`The table ${shown} took ${taken} rows of ${facts.get(shown)?.rows}.`, {
        hint: 'Nothing was changed.',
      });
    }
    tables += 1;
    rows += taken;
  }
  await actAs(session, owners.core, 'public');
  await session.query('SET CONSTRAINTS ALL IMMEDIATE'); // a table with a check that is still to be made can't be altered
  for (const text of obstacles.back) await session.query(text);
  return rows;
}

/** A migration may have put rows into a table; those of the backup are what became of them. */
async function removeRows(session: Session, { schema, name }: TableRecord): Promise<void> {
  const table = `${id(schema)}.${id(name)}`;
  const [row] = await session.query<{ any: boolean }>(`SELECT EXISTS (SELECT FROM ${table}) AS any`);
  // Not of a table that has none: from some, the owner may not remove any.
  if (row?.any === true) await session.query(`DELETE FROM ${table}`);
}

/** The rows of one table, up to the record of its end. */
async function* rowsOf(items: AsyncGenerator<BackupItem>, onBytes: (length: number) => void): AsyncGenerator<Buffer> {
  for (;;) {
    const { done, value } = await items.next();
    if (done === true || value.bytes === undefined) return;
    onBytes(value.bytes.length);
    yield value.bytes;
  }
}

function targetOf({ schema, name, columns }: TableRecord): string {
  const list = columns.length === 0 ? '' : ` (${columns.map(id).join(', ')})`;
  return `${id(schema)}.${id(name)}${list}`;
}

/**
 * Foreign keys of the core, since tables come in the order of their names and may refer to each other in a circle, and triggers that
 * would do at each row what was done when it was written. Their owner may do both without being a superuser.
 */
async function obstaclesOf(session: Session, core: string): Promise<Obstacles> {
  const list = async (sql: string): Promise<{ away: string; back: string }[]> => session.query(sql, [core]);
  const all = [
    ...(await list(
      `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) AS away,
              format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) AS back
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.contype = 'f' AND k.conparentid = 0 AND pg_get_userbyid(c.relowner) = $1`,
    )),
    ...(await list(
      `SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname) AS away,
              format('ALTER TABLE %s ENABLE %sTRIGGER %I', t.tgrelid::regclass,
                CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END, t.tgname) AS back
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'D' AND pg_get_userbyid(c.relowner) = $1`,
    )),
  ];
  return { away: all.map(({ away }) => away), back: all.map(({ back }) => back) };
}

async function setSequence(session: Session, owners: Owners, sequence: SequenceFacts): Promise<void> {
  const server = owners.servers.find(({ schema }) => schema === sequence.schema);
  await actAs(session, server?.role ?? owners.core, sequence.schema);
  await session.query('SELECT setval($1::regclass, $2::bigint, $3)', [
    `${id(sequence.schema)}.${id(sequence.name)}`,
    sequence.value,
    sequence.called,
  ]);
}

function roleOf(owners: Owners, schema: string): string {
  const found = owners.servers.find((server) => server.schema === schema);
  if (found !== undefined) return found.role;
  throw new PreconditionError(`There is no schema ${schema}, though its role was made just now.`);
}
