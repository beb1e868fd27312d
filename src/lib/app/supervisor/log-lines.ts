import { logRecord } from '../../shared/text/log-line.ts';
import type { ServiceLogLine } from './status.ts';

/** From the least severe on. `silent` writes nothing, so it shows nothing. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Which lines are wanted. */
export interface LogFilter {
  /** ISO 8601, UTC: no line before it. */
  readonly since?: string | undefined;
  /** No line that is less severe. */
  readonly level?: LogLevel | undefined;
}

/** A line as it is given to others; what is not JSON is wrapped, with its time where the form is known (PostgreSQL). */
export function toLogLine(service: string, instanceId: string, line: string): ServiceLogLine {
  const { time, level, stream, message } = logRecord(line);
  return {
    service,
    instanceId,
    ...(time === undefined ? {} : { time }),
    ...(level === undefined ? {} : { level }),
    ...(stream === undefined ? {} : { stream }),
    msg: message,
    line,
  };
}

/**
 * Lets lines pass in the order of one file. A line without time or level (the second of a stack) goes by those of the line
 * before it; one of which nothing is known passes.
 */
export function lineFilter({ since, level }: LogFilter): (line: ServiceLogLine) => boolean {
  const least = level === undefined ? 0 : logLevels.indexOf(level);
  let lastTime: string | undefined;
  let lastLevel: string | undefined;
  return (line) => {
    if (line.time !== undefined) {
      lastTime = line.time;
      lastLevel = line.level ?? (isContinuation(line) ? lastLevel : undefined);
    }
    if (since !== undefined && lastTime !== undefined && lastTime < since) return false;
    const rank = lastLevel === undefined ? -1 : logLevels.indexOf(lastLevel as LogLevel);
    return rank < 0 || rank >= least;
  };
}

/** PostgreSQL says DETAIL and HINT in lines of their own, with a time and without a severity. */
function isContinuation({ msg }: ServiceLogLine): boolean {
  return /^[A-Z]+: {2}/.test(msg);
}

/**
 * The lines of several services in the order of their times. A line without one, such as the second of a stack, stays
 * behind the line that its run printed before it.
 */
export function mergedByTime(lines: readonly ServiceLogLine[]): ServiceLogLine[] {
  const last = new Map<string, string>();
  const timed = lines.map((line) => {
    const run = `${line.service} ${line.instanceId}`;
    const time = line.time ?? last.get(run) ?? '';
    last.set(run, time);
    return { line, time };
  });
  return timed.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ line }) => line);
}
