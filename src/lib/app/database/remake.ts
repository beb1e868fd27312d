import { quoteIdentifier as id } from '../../infra/database/identifiers.ts';
import { takeLock } from '../../infra/database/locks.ts';
import { migrationLock } from '../../infra/database/migrate.ts';
import type { MigrationFile } from '../../infra/database/migration-files.ts';
import { ensureMigrationsTable } from '../../infra/database/migration-state.ts';
import { migrationsSchema } from '../../infra/database/roles.ts';
import type { Session } from '../../infra/database/session.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { actAs, type Owners } from './owners.ts';
import { dropSchemasOf, emptySchema } from './schema-statements.ts';

// What a restore and a reset do alike, in the one transaction of theirs.

/**
 * Begins the transaction in which everything is taken away, and sees to it that nobody else is at work.
 * @throws PreconditionError naming who has a connection; TimeoutError while a migration runs
 */
export async function beginAlone(session: Session, purpose: string): Promise<void> {
  await takeLock(session, { advisory: migrationLock }, { purpose });
  const others = await session.query<{ application: string; role: string; pid: number }>(
    `SELECT application_name AS application, usename AS role, pid FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid LIMIT 10`,
  );
  if (others.length > 0) {
    const names = others.map(
      ({ application, role, pid }) => `${application || 'somebody'} (role ${role}, process ${pid})`,
    );
    throw new PreconditionError(`The database is in use by ${names.join(', ')}.`, {
      hint: 'Stop what uses it first; nothing was changed.',
      next: ['infra services stop'],
      data: { others },
    });
  }
  await session.query('BEGIN');
}

/** Takes away everything that is the core's or an MCP server's; roles and the schemas of MCP servers stay. */
export async function takeAllAway(session: Session, owners: Owners): Promise<void> {
  for (const { schema, role } of owners.servers) {
    await actAs(session, role, schema);
    await emptySchema(session, schema, role);
  }
  await actAs(session, owners.core, 'public');
  await dropSchemasOf(session, owners.core);
  await emptySchema(session, 'public', owners.core);
  await session.query(`CREATE SCHEMA ${id(migrationsSchema)}`);
}

/** Runs migrations of the core in the open transaction, without putting them on record. */
export async function runMigrations(session: Session, owners: Owners, files: readonly MigrationFile[]): Promise<void> {
  await actAs(session, owners.core, 'public');
  for (const extension of new Set(files.map((file) => file.extension))) await ensureMigrationsTable(session, extension);
  for (const file of files) {
    await session.query(file.up);
    await actAs(session, owners.core, 'public'); // whatever it has set
  }
}
