import { join } from 'node:path';
import { packageRoot } from '../infra/config/package-root.ts';
import { type MigrationReport, type MigrationStatus, migrate, migrationStatus } from '../infra/database/migrate.ts';
import type { CommandContext } from './command-context.ts';
import { coreExtensions } from './extensions/core.ts';

export type SchemaReport = MigrationReport;
export type SchemaStatus = MigrationStatus;

/** Which migrations of the core the instance's database has. */
export async function schemaStatus(context: CommandContext): Promise<SchemaStatus> {
  return await migrationStatus(await context.ownerConnection(), coreExtensions, join(packageRoot(), 'migrations'));
}

/** Brings the instance's database to the schema of this version. */
export async function migrateSchema(context: CommandContext): Promise<SchemaReport> {
  return await migrate(await context.ownerConnection(), coreExtensions, join(packageRoot(), 'migrations'));
}
