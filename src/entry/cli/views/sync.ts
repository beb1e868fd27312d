import type { SyncedStep, SyncResult } from '../../../lib/app/sync/sync.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

const columns: TableArtifact['columns'] = [
  { name: 'file', column_type: 'string' },
  { name: 'step', column_type: 'string' },
  { name: 'reason', column_type: 'string' },
];

/** What a sync did, or would do; what is in step already is counted only. */
export function syncTable({ steps, done }: SyncResult, dryRun: boolean): TableArtifact {
  const changes = steps.filter(({ kind }) => kind !== 'keep');
  const same = steps.length - changes.length;
  const notes = [
    ...changes.flatMap(({ path, difference = [] }) =>
      difference.length === 0
        ? []
        : [`${path}: - in the database, + in the files`, ...difference.map((line) => `  ${harmless(line)}`)],
    ),
    `${same} of ${steps.length} ${steps.length === 1 ? 'file was' : 'files were'} the same on both sides before`,
  ];
  return {
    type: 'table',
    title: done ? 'Synced' : dryRun ? 'To be synced' : 'Not synced',
    columns,
    items: changes.map((step) => ({ file: step.path, step: stepName(step), reason: reasonOf(step) })),
    count: changes.length,
    empty: 'Files and database are the same.',
    notes,
  };
}

function stepName({ kind, on }: SyncedStep): string {
  if (kind === 'write') return on === 'database' ? 'to the database' : 'to the files';
  if (kind === 'delete') return `delete in the ${on}`;
  return kind;
}

function reasonOf({ kind, on, contested }: SyncedStep): string {
  if (kind === 'conflict') return 'both sides have changed';
  if (kind === 'merge') return 'both have changed, in different lines';
  if (kind === 'ahead') return 'the files have changed: sync to-db';
  if (kind === 'behind') return 'the database has changed: sync to-disk';
  if (contested === true)
    return on === 'database' ? 'both have changed, the files win' : 'both have changed, the database wins';
  const changed = on === 'database' ? 'files' : 'database';
  return kind === 'delete' ? `it was deleted in the ${changed}` : `the ${changed} changed`;
}
