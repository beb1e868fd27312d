import type { Description, IndexFacts, Relation, SizeFacts } from '../../../lib/app/database/catalog.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { artifactText } from '../../../lib/shared/artifact-text.ts';

/** Tables and views, one a row. */
export function relationsTable(relations: readonly Relation[]): TableArtifact {
  const anyComment = relations.some(({ comment }) => comment !== null);
  return {
    type: 'table',
    columns: [
      { name: 'table', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'rows', label: 'ROWS (ESTIMATE)', column_type: 'integer' },
      { name: 'size', column_type: 'bytes' },
      ...(anyComment ? [{ name: 'comment', column_type: 'string' as const }] : []),
    ],
    items: relations.map(({ shown, kind, rows, bytes, comment }) => ({
      table: shown,
      kind,
      rows,
      size: bytes,
      ...(anyComment ? { comment } : {}),
    })),
    count: relations.length,
    empty: 'No tables found.',
  };
}

/** Everything about one table, in sections. */
export function descriptionCard(description: Description): PresentationCardArtifact {
  const { relation, columns, constraints, indexes, triggers, referencedBy } = description;
  const anyComment = columns.some(({ comment }) => comment !== null);
  const table: TableArtifact = {
    type: 'table',
    columns: [
      { name: 'column', column_type: 'string' },
      { name: 'type', column_type: 'string' },
      { name: 'null', column_type: 'boolean' },
      { name: 'default', column_type: 'string' },
      { name: 'key', column_type: 'string' },
      ...(anyComment ? [{ name: 'comment', column_type: 'string' as const }] : []),
    ],
    items: columns.map((column) => ({
      column: column.name,
      type: column.type,
      null: column.nullable,
      default: column.default,
      key: column.key,
      ...(anyComment ? { comment: column.comment } : {}),
    })),
    count: columns.length,
  };
  const lists: [string, readonly string[]][] = [
    ['Constraints', constraints],
    ['Indexes', indexes.map(({ name, definition, unique }) => `${name} ${unique ? 'unique ' : ''}${definition}`)],
    ['Triggers', triggers],
    ['Referenced by', referencedBy],
  ];
  return {
    type: 'presentation_card',
    title: relation.shown,
    subtitle: [relation.kind, `owned by ${relation.owner}`, relation.comment]
      .filter((part) => part !== null)
      .join(', '),
    sections: [
      // The card wraps what is too wide; a table that is laid out already would break.
      { heading: 'Columns', content: artifactText(table, { width: 76 }) },
      ...lists
        .filter(([, lines]) => lines.length > 0)
        .map(([heading, lines]) => ({ heading, content: lines.join('\n') })),
    ],
    data: { ...description },
  };
}

export function indexesTable(indexes: readonly IndexFacts[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'table', column_type: 'string' },
      { name: 'index', column_type: 'string' },
      { name: 'definition', column_type: 'string' },
      { name: 'unique', column_type: 'boolean' },
      { name: 'size', column_type: 'bytes' },
      { name: 'scans', column_type: 'integer' },
    ],
    items: indexes.map(({ table, name, definition, unique, bytes, scans }) => ({
      table,
      index: name,
      definition,
      unique,
      size: bytes,
      scans,
    })),
    count: indexes.length,
    empty: 'No indexes found.',
  };
}

export function sizesTable(sizes: readonly SizeFacts[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'size', column_type: 'bytes' },
    ],
    items: sizes.map(({ name, kind, bytes }) => ({ name, kind, size: bytes })),
    count: sizes.length,
  };
}
