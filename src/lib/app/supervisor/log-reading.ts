import { statSync } from 'node:fs';
import { LineRedactor, redactionContext } from '../../infra/logging/line-redactor.ts';
import type { LogPosition } from '../../infra/process/log-cursor.ts';
import { readTail } from '../../infra/process/log-tail.ts';
import { type LogFile, logFilesOf } from '../../infra/process/logs.ts';
import { type LogFilter, lineFilter, mergedByTime, toLogLine } from './log-lines.ts';
import type { ServiceLogLine } from './status.ts';

export interface LogsWanted extends LogFilter {
  readonly services: readonly string[];
  /** At most so many of each service, the newest. */
  readonly lines: number;
}

/** One run's log as far as it was read: what goes on from there keeps what the lines before it mean. */
export interface ReadRun {
  readonly file: LogFile;
  readonly service: string;
  readonly position: LogPosition;
  readonly redactor: LineRedactor;
  readonly passes: (line: ServiceLogLine) => boolean;
  readonly lines: readonly ServiceLogLine[];
  /** The beginning of a line without its end. */
  readonly unfinished: ServiceLogLine | undefined;
}

/** The logs of several services, read from their files, merged by time, secrets blanked. Needs no running supervisor. */
export function readLogs(logsDir: string, wanted: LogsWanted): ServiceLogLine[] {
  const lines = wanted.services.flatMap((service) => {
    const runs = readRuns(logsDir, service, wanted);
    return merged(runs, true).slice(wanted.lines === 0 ? Number.POSITIVE_INFINITY : -wanted.lines);
  });
  return mergedByTime(lines);
}

/** The lines of one service's runs by time. @param unfinished whether a line without an end counts */
export function merged(runs: readonly ReadRun[], unfinished: boolean): ServiceLogLine[] {
  return mergedByTime(
    runs.flatMap((run) => [...run.lines, ...(unfinished && run.unfinished !== undefined ? [run.unfinished] : [])]),
  );
}

/** Reads a service's runs, the newest first, until there are lines enough. */
export function readRuns(logsDir: string, service: string, wanted: LogsWanted): ReadRun[] {
  const since = wanted.since === undefined ? 0 : Date.parse(wanted.since);
  const files = logFilesOf(logsDir, service)
    .map((file) => ({ file, at: statSync(file.path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.at - a.at);
  const runs: ReadRun[] = [];
  let left = wanted.lines;
  for (const [age, { file, at }] of files.entries()) {
    if (age > 0 && (left <= 0 || at < since)) break;
    const run = readRun(file, service, { ...wanted, lines: left });
    left -= run.lines.length;
    runs.push(run);
  }
  return runs.reverse();
}

/** The end of one run's log: as many lines as are wanted, and where it goes on. */
export function readRun(file: LogFile, service: string, wanted: LogsWanted): ReadRun {
  const { since } = wanted;
  const tail = readTail(file.path, () => {
    const passes = lineFilter({ level: wanted.level });
    let matching = 0;
    let beyond = 0;
    return (text) => {
      const line = toLogLine(service, file.instanceId, text);
      if (passes(line)) matching += 1;
      if (matching > wanted.lines || (since !== undefined && line.time !== undefined && line.time < since)) beyond += 1;
      return beyond > redactionContext;
    };
  });
  const redactor = new LineRedactor();
  const passes = lineFilter(wanted);
  const shown = (text: string): ServiceLogLine => toLogLine(service, file.instanceId, redactor.redact(text));
  const lines = tail.lines.map(shown).filter(passes);
  const unfinished =
    tail.unfinished === undefined
      ? undefined
      : toLogLine(service, file.instanceId, new LineRedactor().redact(tail.unfinished));
  return {
    file,
    service,
    position: tail.position,
    redactor,
    passes,
    lines: wanted.lines > 0 ? lines.slice(-wanted.lines) : [],
    unfinished: unfinished !== undefined && wanted.lines > 0 && passes(unfinished) ? unfinished : undefined,
  };
}
