import { PreconditionError } from '../../shared/errors.ts';
import type { Extension } from '../../shared/extension.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { takeLock } from './locks.ts';
import { migrationFailure, migrationLock, readAll } from './migrate.ts';
import type { MigrationFile } from './migration-files.ts';
import { inDependencyOrder } from './migration-files.ts';
import { type MigrationRecord, pendingOf, readApplied, tableOf } from './migration-state.ts';
import { type Session, withSession } from './session.ts';

/** Extensions whose migrations one role applies and keeps on record in one place. */
export interface MigrationHome {
  readonly connection: ConnectionConfig;
  readonly extensions: readonly Extension[];
  readonly root: string;
  readonly record: MigrationRecord;
}

/** A migration that can be taken back, and where. */
export interface AppliedFile {
  readonly file: MigrationFile;
  readonly appliedAt: Date;
  readonly home: MigrationHome;
}

/** All that is applied, the last one first. @throws PreconditionError as `migrate` does for files that do not fit */
export async function appliedFiles(homes: readonly MigrationHome[]): Promise<AppliedFile[]> {
  const all: AppliedFile[] = [];
  for (const home of homes) {
    const ordered = inDependencyOrder(home.extensions);
    const files = await readAll(ordered, home.root);
    const applied = await withSession(home.connection, { applicationName: 'systemprompt rollback' }, (session) =>
      readApplied(
        session,
        ordered.map(({ id }) => id),
        home.record,
      ),
    );
    pendingOf(files, applied); // refuses edited and missing files
    for (const extension of ordered) {
      for (const { name, appliedAt } of applied.filter((migration) => migration.extension === extension.id)) {
        const file = files.find((candidate) => candidate.extension === extension.id && candidate.name === name);
        if (file !== undefined) all.push({ file, appliedAt, home });
      }
    }
  }
  // Of those that one moment applied, those of an extension that stands on another were applied after it.
  return all.reverse().sort((a, b) => b.appliedAt.getTime() - a.appliedAt.getTime());
}

/**
 * Takes migrations back in the order given, each in a transaction of its own, by the down part of its file.
 * @returns those that were taken back
 * @throws PreconditionError before anything is done when one has no down part; InternalError naming file and line when one fails: it
 *   stays applied, those before it are taken back
 */
export async function rollBack(
  migrations: readonly AppliedFile[],
  onDone: (file: MigrationFile, ms: number) => void,
): Promise<void> {
  refuseOneWay(migrations);
  for (const { file, home } of migrations) {
    await withSession(home.connection, { applicationName: 'systemprompt rollback' }, async (session) => {
      const since = performance.now();
      await takeLock(session, { advisory: migrationLock }, { purpose: 'The rollback' });
      await takeBack(session, file, home.record);
      onDone(file, performance.now() - since);
    });
  }
}

/** @throws PreconditionError naming the first migration that can't be taken back */
export function refuseOneWay(migrations: readonly AppliedFile[]): void {
  const found = migrations.find(({ file }) => file.down === undefined);
  if (found === undefined) return;
  const { extension, name, path } = found.file;
  throw new PreconditionError(`The migration ${extension}/${name} can't be taken back: its file has no down part.`, {
    hint: 'Restore a backup from before it; or write what undoes it as the next migration. Nothing was changed.',
    next: ['infra db restore --help'],
    data: { extension, name, file: path },
  });
}

async function takeBack(session: Session, file: MigrationFile, record: MigrationRecord): Promise<void> {
  const { down } = file;
  if (down === undefined) return;
  try {
    await session.query('BEGIN');
    await session.query(down.sql);
    const gone = await session.query(`DELETE FROM ${tableOf(record, file.extension)} WHERE name = $1 RETURNING name`, [
      file.name,
    ]);
    if (gone.length === 0)
      throw new PreconditionError(`${file.extension}/${file.name} was taken back by somebody else.`);
    await session.query('COMMIT');
  } catch (error) {
    throw migrationFailure(
      file,
      down.sql,
      down.line,
      error,
      'It is still applied; correct its down part or restore a backup.',
    );
  }
}
