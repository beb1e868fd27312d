import type { DatabaseStatus } from '../../../lib/app/database-admin.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatBytes } from '../../../lib/shared/text/cells.ts';

/** Every migration with its state, in the order in which they are applied. */
export function migrationsTable(status: DatabaseStatus): TableArtifact {
  const items = status.extensions.flatMap((extension) => [
    ...extension.applied.map((migration) => ({
      extension: extension.id,
      name: migration.name,
      state: 'applied',
      applied_at: migration.appliedAt.toISOString(),
      took: migration.ms,
    })),
    ...extension.pending.map((name) => ({
      extension: extension.id,
      name,
      state: 'pending',
      applied_at: null,
      took: null,
    })),
  ]);
  const server = `PostgreSQL ${status.serverVersion}${status.embedded ? ' (embedded)' : ''}`;
  return {
    type: 'table',
    title: `${server}, database ${status.database}, ${formatBytes(status.sizeBytes)}`,
    columns: [
      { name: 'extension', column_type: 'string' },
      { name: 'name', label: 'MIGRATION', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'applied_at', column_type: 'date' },
      { name: 'took', column_type: 'duration' },
    ],
    items,
    count: items.length,
    empty: 'No migrations found.',
  };
}

interface Applied {
  readonly applied: readonly { readonly extension: string; readonly name: string; readonly ms: number }[];
}

/** What a run applied. */
export function appliedTable(report: Applied): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'extension', column_type: 'string' },
      { name: 'name', label: 'APPLIED', column_type: 'string' },
      { name: 'took', column_type: 'duration' },
    ],
    items: report.applied.map(({ extension, name, ms }) => ({ extension, name, took: ms })),
    count: report.applied.length,
    empty: 'Nothing to apply: the database has every migration.',
  };
}

/** What a rollback took back, or would. */
export function rolledBackTable(
  migrations: readonly { readonly extension: string; readonly name: string; readonly ms?: number }[],
  label: string,
): TableArtifact {
  const timed = migrations.some(({ ms }) => ms !== undefined);
  return {
    type: 'table',
    columns: [
      { name: 'extension', column_type: 'string' },
      { name: 'name', label, column_type: 'string' },
      ...(timed ? [{ name: 'took', column_type: 'duration' as const }] : []),
    ],
    items: migrations.map(({ extension, name, ms }) => ({ extension, name, ...(timed ? { took: ms ?? null } : {}) })),
    count: migrations.length,
    empty: 'Nothing to take back.',
  };
}
