import type { TableArtifact } from '../artifact.ts';
import { formatCell } from './cells.ts';
import type { Paint } from './paint.ts';
import { displayWidth, harmless, pad, truncate } from './width.ts';

const gap = '  ';
const narrowest = 6;
/** The first column, what a row is called, is left whole for as long as every other has this much. */
const readable = 12;
const rightAligned = new Set(['integer', 'number', 'duration', 'bytes']);

interface Column {
  readonly name: string;
  readonly label: string;
  readonly right: boolean;
  /** Half a word can be guessed; half a number, date or address is a wrong one. */
  readonly narrows: boolean;
  readonly cells: readonly string[];
  width: number;
}

export interface TableLayout {
  /** Columns of text to fill. */
  readonly width: number;
  readonly paint: Paint;
  /** Cut no cell short: a table that is too wide is shown as one record after the other. */
  readonly whole: boolean;
}

/**
 * A table in at most `width` columns. Columns in which no row has anything are left out; where the rest is too wide, the
 * widest columns give way first, the first one last, and a table that can't be squeezed is shown as one record after the other.
 */
export function renderTable(table: TableArtifact, layout: TableLayout): string[] {
  const { paint } = layout;
  const columns = table.columns.map((column): Column => {
    const cells = table.items.map((item) => harmless(formatCell(item[column.name], column.column_type)));
    const label = column.label ?? column.name.replaceAll('_', ' ').toUpperCase();
    const widest = Math.max(displayWidth(label), ...cells.map(displayWidth));
    const { column_type: type } = column;
    return {
      name: column.name,
      label,
      right: rightAligned.has(type),
      narrows: type === 'string',
      cells,
      width: widest,
    };
  });
  const filled = columns.filter((column) => column.cells.some((cell) => cell !== '–'));
  if (!fit(filled, layout)) return renderRecords(filled, table.items.length, layout);
  const header = filled.map((column) => pad(column.label, column.width, side(column))).join(gap);
  const rows = table.items.map((_, row) =>
    filled
      .map((column) => cellText(column, row, paint))
      .join(gap)
      .trimEnd(),
  );
  return [paint.bold(header.trimEnd()), ...rows];
}

function cellText(column: Column, row: number, paint: Paint): string {
  const text = shortened(column.cells[row] ?? '', column.width);
  return paint.cell(text, pad(text, column.width, side(column)));
}

/** Of a path the end says which file it is, of anything else the beginning says what it is. */
function shortened(text: string, width: number): string {
  const path = /^(?:\.{0,2}\/|[\w.@-]+\/)\S*$/.test(text);
  if (!path || displayWidth(text) <= width) return truncate(text, width);
  let kept = [...text].slice(-(width - 1)).join('');
  while (displayWidth(kept) > width - 1) kept = [...kept].slice(1).join('');
  return `…${kept}`;
}

/** Narrows the widest column again and again until the line fits; false when the columns would become unreadable. */
function fit(columns: Column[], { width, whole }: TableLayout): boolean {
  const total = (): number => columns.reduce((sum, column) => sum + column.width, gap.length * (columns.length - 1));
  if (whole) return total() <= width;
  for (let excess = total() - width; excess > 0; excess = total() - width) {
    const narrowing = columns.filter((column) => column.narrows).sort((a, b) => b.width - a.width);
    const others = narrowing.filter((column) => column !== columns[0] && column.width > atLeast(column));
    const [widest, second] = others.length > 0 ? others : narrowing;
    if (widest === undefined || widest.width <= narrowest) return false;
    const least = others.length > 0 ? atLeast(widest) : narrowest;
    const target = Math.max(least, widest.width - excess, Math.min(second?.width ?? least, widest.width - 1));
    if (target < Math.min(displayWidth(widest.label), widest.width)) return false;
    widest.width = target;
  }
  return true;
}

function atLeast({ label }: Column): number {
  return Math.max(readable, displayWidth(label));
}

function renderRecords(columns: readonly Column[], count: number, { width, paint, whole }: TableLayout): string[] {
  const label = Math.max(0, ...columns.map((column) => displayWidth(column.label)));
  const space = whole ? Number.POSITIVE_INFINITY : Math.max(narrowest, width - label - gap.length);
  return Array.from({ length: count }, (_, row) => [
    ...(row === 0 ? [] : ['']),
    ...columns.map(
      (column) => `${paint.bold(pad(column.label, label))}${gap}${truncate(column.cells[row] ?? '', space)}`,
    ),
  ]).flat();
}

function side(column: Column): 'left' | 'right' {
  return column.right ? 'left' : 'right';
}
