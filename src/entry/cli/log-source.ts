import type { CommandContext } from '../../lib/app/command-context.ts';
import type { LogQuery } from '../../lib/app/supervisor/client.ts';
import { followLogs } from '../../lib/app/supervisor/log-following.ts';
import type { LogLevel } from '../../lib/app/supervisor/log-lines.ts';
import { readLogs } from '../../lib/app/supervisor/log-reading.ts';
import { selectLogs } from '../../lib/app/supervisor/selection.ts';
import type { ServiceLogLine } from '../../lib/app/supervisor/status.ts';
import { loggedServices, supervisorLog } from '../../lib/infra/process/logs.ts';
import { ConfigInvalidError, isNotRunning } from '../../lib/shared/errors.ts';
import { configuredServices } from './configured-services.ts';

/** Where lines come from: the supervisor, or the files when none runs. */
export interface LogSource {
  /** Those that were asked for, by name or kind. */
  readonly services: readonly string[];
  lines(query: LogQuery): AsyncIterable<ServiceLogLine>;
}

/**
 * @param asked names of services, or kinds (`mcp` for every `mcp:…`); all when there is none
 * @throws NotFoundError with the nearest names
 */
export async function openLogs(context: CommandContext, asked: readonly string[]): Promise<LogSource> {
  const { logsDir } = await context.instance();
  const logged = loggedServices(logsDir);
  try {
    const supervisor = await context.supervisor();
    const configured = (await supervisor.status()).services.map(({ name }) => name);
    return { services: chosen(asked, configured, logged), lines: (query) => supervisor.logs(query) };
  } catch (error) {
    if (!isNotRunning(error)) throw error;
  }
  const configured = [...(await namesConfigured(context)), ...logged].filter((name) => name !== supervisorLog);
  return { services: chosen(asked, [...new Set(configured)], logged), lines: (query) => fromFiles(logsDir, query) };
}

async function* fromFiles(logsDir: string, query: LogQuery): AsyncGenerator<ServiceLogLine, void, undefined> {
  const { service = [], lines = 20, since, level, follow, signal = new AbortController().signal } = query;
  const wanted = { services: [service].flat(), lines, since, level: level as LogLevel | undefined };
  if (follow === true) yield* followLogs(logsDir, wanted, signal);
  else yield* readLogs(logsDir, wanted);
}

/** What would run, as far as the configuration can be read: logs are looked at because something is wrong. */
async function namesConfigured(context: CommandContext): Promise<string[]> {
  try {
    return (await configuredServices(context)).map(({ name }) => name);
  } catch (error) {
    if (error instanceof ConfigInvalidError) return [];
    throw error;
  }
}

function chosen(asked: readonly string[], configured: readonly string[], logged: readonly string[]): string[] {
  if (asked.length === 0) return [...configured];
  const known = [...new Set([...configured, ...logged, supervisorLog])];
  return selectLogs(asked, known);
}
