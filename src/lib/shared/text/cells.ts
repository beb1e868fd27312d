import type { TableArtifact } from '../artifact.ts';

export type ColumnType = TableArtifact['columns'][number]['column_type'];
export type Cell = TableArtifact['items'][number][string];

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB'];

/** A cell of a table as a person reads it; null and absent are a dash. */
export function formatCell(value: Cell | undefined, type: ColumnType): string {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') {
    if (type === 'duration') return formatDuration(value);
    if (type === 'bytes') return formatBytes(value);
    return String(value);
  }
  return type === 'date' ? formatDate(value) : value.replaceAll(/\s*\n\s*/g, ' ');
}

/** @param ms milliseconds */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Decimal units, as disks and networks count. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${byteUnits[unit]}`;
}

/** ISO 8601 in UTC without the milliseconds; anything else stays as it is. */
export function formatDate(value: string): string {
  const time = Date.parse(value);
  if (Number.isNaN(time)) return value;
  return new Date(time)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d{3}Z$/, 'Z');
}
