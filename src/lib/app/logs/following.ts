import type { Database } from '../../infra/database/connection.ts';
import { ServiceEventFeed } from '../supervisor/event-feed.ts';
import { followLogs } from '../supervisor/log-following.ts';
import { eventEntry, isWanted, type LogEntry, type LogWanted, lineEntry } from './entries.ts';

export interface Following {
  readonly logsDir: string;
  readonly services: readonly string[];
  /** So many of the last lines of each service come first. */
  readonly lines: number;
  readonly wanted: LogWanted;
  readonly signal: AbortSignal;
  readonly give: (entry: LogEntry) => void;
}

/** Gives each line that the services print from now on, until the signal fires. */
export async function followLines({ logsDir, services, lines, wanted, signal, give }: Following): Promise<void> {
  const before = new Map<string, LogEntry>();
  // What has no level of its own goes on about the line before it: levels are looked at here, not there.
  const asked = { services, lines, since: wanted.since };
  for await (const line of followLogs(logsDir, asked, signal)) {
    const run = `${line.service} ${line.instanceId}`;
    const entry = lineEntry(line, before.get(run));
    before.set(run, entry);
    if (isWanted(entry, wanted)) give(entry);
  }
}

/** Gives each change of the services from now on, until the signal fires. @throws DatabaseUnavailableError */
export async function followEvents(
  database: Database,
  installationId: string,
  { wanted, signal, give }: Pick<Following, 'wanted' | 'signal' | 'give'>,
): Promise<void> {
  const feed = new ServiceEventFeed(database, installationId);
  try {
    for await (const page of feed.follow({ after: await feed.position(), signal })) {
      for (const event of page) {
        const entry = eventEntry(event);
        if (isWanted(entry, wanted)) give(entry);
      }
    }
  } finally {
    await feed.close();
  }
}
