import type { BackupReport } from '../../../lib/app/database/backup.ts';
import type { RestorePlan } from '../../../lib/app/database/restore.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { formatBytes, formatDate, formatDuration } from '../../../lib/shared/text/cells.ts';

/** What was written where, and what has to be kept beside it. */
export function backupCard(report: BackupReport, ms: number): PresentationCardArtifact {
  const { path, size, rows, bytes, tables, skipped } = report;
  const left = skipped.length === 0 ? [] : [{ heading: 'Not in it', content: skipped.join('\n') }];
  return {
    type: 'presentation_card',
    title: 'Backup written',
    sections: [
      { heading: 'File', content: `${path}\n${formatBytes(size)}, in ${formatDuration(ms)}` },
      { heading: 'Content', content: `${rows} rows of ${tables.length} tables, ${formatBytes(bytes)} unpacked` },
      ...left,
      {
        heading: 'Keep apart',
        content: 'The master key: without it nobody reads the sealed keys in the backup, with both anybody does.',
      },
    ],
    data: { path, size, rows, bytes, ms: Math.round(ms), tables, skipped },
  };
}

/** What a restore will do, or has done. */
export function restoreCard(plan: RestorePlan, title: string, ms?: number): PresentationCardArtifact {
  const { head, manifest, later, schemas, path } = plan;
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const lines = [
    `of ${formatDate(head.createdAt)}, made by version ${head.version} on PostgreSQL ${head.serverVersion}`,
    `${rows} rows of ${manifest.tables.length} tables`,
    ...(schemas.length === 0 ? [] : [`MCP servers: ${schemas.map(({ server }) => server).join(', ')}`]),
  ];
  const migrations = later.map(({ extension, name }) => `${extension}/${name}`);
  return {
    type: 'presentation_card',
    title,
    sections: [
      { heading: 'Backup', content: [path, ...lines].join('\n') },
      ...(migrations.length === 0 ? [] : [{ heading: 'Migrations beyond it', content: migrations.join('\n') }]),
      ...(ms === undefined ? [] : [{ heading: 'Time', content: formatDuration(ms) }]),
    ],
    data: {
      path,
      created_at: head.createdAt,
      version: head.version,
      rows,
      tables: manifest.tables,
      migrations,
      ...(ms === undefined ? {} : { ms: Math.round(ms) }),
    },
  };
}
