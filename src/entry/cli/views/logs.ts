import type { ServiceLogLine } from '../../../lib/app/supervisor/status.ts';
import { logRecord } from '../../../lib/shared/text/log-line.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

const timeWidth = '2026-01-31T12:00:00.000Z'.length;
const levelWidth = 'error'.length;

/**
 * A line as a person reads it: time, service, level, message.
 *
 * @param nameWidth columns of the longest name
 */
export function logText({ service, line }: Pick<ServiceLogLine, 'service' | 'line'>, nameWidth: number): string {
  const { time = '', level = '', message, facts = '' } = logRecord(line);
  const columns = [time.padEnd(timeWidth), service.padEnd(nameWidth), level.padEnd(levelWidth), message, facts];
  return harmless(columns.join('  ')).trimEnd();
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * The moment that `--since` means: so long ago (`90s`, `15m`, `2h`, `1d`), or a time as ISO 8601 has it; one without a
 * zone is local.
 * @returns ISO 8601 in UTC; `undefined` when it is neither
 */
export function sinceTime(text: string, now = Date.now()): string | undefined {
  const [, count, unit] = /^(\d{1,9})\s?([smhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) {
    // Longer ago than dates reach means everything.
    return new Date(Math.max(0, now - Number(count) * (units[unit] ?? 0) * 1_000)).toISOString();
  }
  if (!/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.test(text)) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}
