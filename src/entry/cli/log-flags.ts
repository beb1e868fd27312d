import { integer, option, string } from '@oclif/core/flags';
import type { LogWanted } from '../../lib/app/logs/entries.ts';
import { logLevels } from '../../lib/app/supervisor/log-lines.ts';
import { UsageError } from '../../lib/shared/errors.ts';
import { moment } from './flags.ts';

// Written out, so that the command line is parsed without loading the logs; a test compares it.
export const logSourceNames = ['lines', 'events', 'calls'] as const;

/** What narrows the logs down, the same for all of `infra logs`. */
export const logFilterFlags = {
  service: string({ multiple: true, helpValue: '<name>', summary: 'Of this service or kind; may be repeated' }),
  level: option({ options: logLevels, summary: 'Nothing less severe; what has no level is shown' })(),
  trace: string({ helpValue: '<id>', summary: 'Of this tool call: its execution id, or how that begins' }),
  user: string({ helpValue: '<name>', summary: 'Of the calls of this user: calls, and lines that name it' }),
  source: option({
    options: logSourceNames,
    multiple: true,
    summary: 'Lines of files, changes of services, tool calls; all of them unless told',
  })(),
  since: moment({ summary: 'Nothing older' }),
  until: moment({ summary: 'Nothing newer' }),
};

/** How much of it is shown at once. */
export const logPageFlags = {
  limit: integer({
    min: 1,
    max: 10_000,
    default: 100,
    helpValue: '<number>',
    summary: 'How many of the newest at most',
  }),
  cursor: string({ helpValue: '<cursor>', summary: 'Go on, to older ones, where the answer before ended' }),
};

interface GivenFilters {
  readonly level?: LogWanted['level'] | undefined;
  readonly trace?: string | undefined;
  readonly source?: LogWanted['sources'] | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** The flags as they are asked for; names of services are resolved when it is known which there are. */
export function wantedLogs({ level, trace, source, since, until }: GivenFilters): LogWanted {
  return { level, sources: source, trace: traceId(trace), since: since?.toISOString(), until: until?.toISOString() };
}

/** @throws UsageError for what can't be the beginning of an id */
export function traceId(text: string | undefined): string | undefined {
  const id = text?.toLowerCase();
  if (id !== undefined && !/^[0-9a-f-]{8,40}$/.test(id)) {
    throw new UsageError(`'${id.slice(0, 80)}' is no execution or trace id`, {
      hint: 'Give at least its first eight digits, as admin audit list shows it',
      next: ['admin audit list'],
    });
  }
  return id;
}
