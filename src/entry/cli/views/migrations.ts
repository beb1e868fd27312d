import type { SchemaReport, SchemaStatus } from '../../../lib/app/schema.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** Every migration with its state, in the order in which they are applied. */
export function migrationsTable(status: SchemaStatus): TableArtifact {
  const items = [
    ...status.applied.map((migration) => ({
      extension: migration.extension,
      name: migration.name,
      state: 'applied',
      applied_at: migration.appliedAt.toISOString(),
      took: migration.ms,
    })),
    ...status.pending.map(({ extension, name }) => ({ extension, name, state: 'pending', applied_at: null, took: null })),
  ];
  return {
    type: 'table',
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

/** What a run applied. */
export function appliedTable(report: SchemaReport): TableArtifact {
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
