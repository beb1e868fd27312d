import { boolean, integer, option, string } from '@oclif/core/flags';
import type { CommandContext } from '../../lib/app/command-context.ts';
import type { LogQuery } from '../../lib/app/supervisor/client.ts';
import { logLevels } from '../../lib/app/supervisor/log-lines.ts';
import type { ServiceLogLine } from '../../lib/app/supervisor/status.ts';
import type { TextArtifact } from '../../lib/shared/artifact.ts';
import { UsageError } from '../../lib/shared/errors.ts';
import { Interrupts } from './interrupt.ts';
import type { Output } from './output/output.ts';
import { logText, sinceTime } from './views/logs.ts';

const shownLines = 20;
const mostLines = 10_000;

/** Which lines of services are shown, the same for every command that shows them. */
export const serviceLogFlags = {
  lines: integer({
    char: 'n',
    min: 1,
    max: mostLines,
    helpValue: '<number>',
    summary: `How many of the last lines of each; ${shownLines}, or with --since up to ${mostLines}`,
  }),
  since: string({
    helpValue: '<time>',
    summary: 'Nothing older: 90s, 15m, 2h, 1d, or a time such as 2026-01-31T12:00',
  }),
  level: option({ options: logLevels, summary: 'Nothing less severe; lines without a level are shown' })(),
  follow: boolean({ summary: 'Go on with what is printed from now on, until Ctrl-C' }),
};

interface Asked {
  readonly context: CommandContext;
  readonly output: Output;
  /** Names of services, or kinds. */
  readonly asked: readonly string[];
  readonly flags: {
    readonly lines?: number | undefined;
    readonly since?: string | undefined;
    readonly level?: string | undefined;
    readonly follow?: boolean | undefined;
  };
}

/**
 * The lines of services: what was printed, or with `follow` as it is printed.
 *
 * @param ended hears the exit code of a run that a signal has ended
 * @throws UsageError for a time that is none; NotFoundError with the nearest names
 */
export async function serviceLogs(
  { context, output, asked, flags }: Asked,
  ended: (code: number) => void,
): Promise<TextArtifact> {
  const wanted = queryOf(flags);
  const { openLogs } = await import('./log-source.ts');
  const source = await openLogs(context, asked);
  const width = Math.max(0, ...source.services.map((name) => name.length));
  const query = { ...wanted, service: source.services };
  if (flags.follow !== true) return await read(source.lines, query, width);
  using interrupts = new Interrupts();
  let count = 0;
  for await (const line of source.lines({ ...query, follow: true, signal: interrupts.signal })) {
    count += 1;
    output.line(logText(line, width), { ...line });
  }
  ended(interrupts.exitCode);
  return { type: 'text', content: `${count} lines.`, data: { count } };
}

function queryOf({ since, level, lines }: Asked['flags']): Omit<LogQuery, 'service'> {
  const from = since === undefined ? undefined : sinceTime(since);
  if (since !== undefined && from === undefined) {
    throw new UsageError(`--since is neither a duration nor a time: ${since}`, {
      hint: 'Write 90s, 15m, 2h or 1d, or a time such as 2026-01-31T12:00 or 2026-01-31T12:00:00Z',
    });
  }
  return {
    lines: lines ?? (from === undefined ? shownLines : mostLines),
    ...(from === undefined ? {} : { since: from }),
    ...(level === undefined ? {} : { level }),
  };
}

async function read(
  source: (query: LogQuery) => AsyncIterable<ServiceLogLine>,
  query: LogQuery,
  width: number,
): Promise<TextArtifact> {
  const lines: ServiceLogLine[] = [];
  for await (const line of source(query)) lines.push(line);
  const content = lines.map((line) => logText(line, width)).join('\n');
  return { type: 'text', content: content === '' ? 'No log lines found.' : content, data: { lines } };
}
