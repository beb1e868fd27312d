import type { AnswerField } from '../../infra/database/bounded-query.ts';
import type { TableArtifact } from '../../shared/artifact.ts';

type Column = TableArtifact['columns'][number];
type Cell = string | number | boolean | null;

/** PostgreSQL's numbers of types (src/include/catalog/pg_type.dat). */
const types: Readonly<
  Record<number, { readonly column: Column['column_type']; readonly cell: (text: string) => Cell }>
> = {
  16: { column: 'boolean', cell: (text) => text === 't' },
  20: { column: 'integer', cell: exact },
  21: { column: 'integer', cell: Number },
  23: { column: 'integer', cell: Number },
  26: { column: 'integer', cell: Number },
  700: { column: 'number', cell: exact },
  701: { column: 'number', cell: exact },
  1700: { column: 'number', cell: exact },
  1184: { column: 'date', cell: instant },
};

/** Columns with names of their own: two that are called alike are told apart by a number. */
export function columnsOf(fields: readonly AnswerField[]): Column[] {
  const taken = new Set<string>();
  return fields.map(({ name, type }) => {
    let own = name;
    for (let count = 2; taken.has(own); count += 1) own = `${name}_${count}`;
    taken.add(own);
    return { name: own, label: own, column_type: types[type]?.column ?? 'string' };
  });
}

/** A row as an item: numbers, yes and no, and instants typed, everything else as PostgreSQL writes it. */
export function itemOf(
  row: readonly (string | null)[],
  columns: readonly Column[],
  fields: readonly AnswerField[],
): Record<string, Cell> {
  return Object.fromEntries(
    columns.map(({ name }, index) => {
      const text = row[index] ?? null;
      return [name, text === null ? null : (types[fields[index]?.type ?? 0]?.cell(text) ?? text)];
    }),
  );
}

/** A number that a JavaScript number holds as it is written; its text otherwise (a bigint, 0.10, NaN). */
function exact(text: string): Cell {
  const value = Number(text);
  return Number.isFinite(value) && String(value) === text ? value : text;
}

/** A `timestamptz` of a session in UTC as ISO 8601; `infinity` and years before 1 as they are. */
function instant(text: string): string {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?)\+00$/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}Z`;
}
