import type { ServiceLogLine } from '../../../lib/app/supervisor/status.ts';
import { logRecord } from '../../../lib/shared/text/log-line.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

const timeWidth = '2026-01-31T12:00:00.000Z'.length;
const levelWidth = 'error'.length;

/**
 * The lines of several services in the order of their times. A line without one, such as the second of a stack, stays
 * behind the line that its service printed before it.
 */
export function mergedByTime(lines: readonly ServiceLogLine[]): ServiceLogLine[] {
  const last = new Map<string, string>();
  const timed = lines.map((line) => {
    const time = logRecord(line.line).time ?? last.get(line.service) ?? '';
    last.set(line.service, time);
    return { line, time };
  });
  return timed.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ line }) => line);
}

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
