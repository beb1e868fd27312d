import { logLevels } from '../supervisor/log-lines.ts';
import type { LogEntry } from './entries.ts';

/** Different messages that are counted at once; beyond them those that came once are forgotten. */
const messageLimit = 5_000;
const messageLength = 200;

export interface ServiceCounts {
  readonly service: string;
  total: number;
  /** By level; `none` for entries without one. */
  readonly levels: Record<string, number>;
  first: string;
  last: string;
}

export interface MessageCount {
  readonly service: string;
  readonly level: string;
  /** With numbers and ids as `…`, so that messages that differ in nothing else are one. */
  readonly message: string;
  count: number;
  last: string;
}

export interface LogSummary {
  readonly services: readonly ServiceCounts[];
  /** The most frequent first. */
  readonly messages: readonly MessageCount[];
  /** Rare messages were forgotten, since there were too many different ones. */
  readonly forgotten: boolean;
}

/** Counts entries as they come; what is held does not grow with them. */
export async function summarise(entries: AsyncIterable<LogEntry>): Promise<LogSummary> {
  const services = new Map<string, ServiceCounts>();
  const messages = new Map<string, MessageCount>();
  let forgotten = false;
  for await (const { service, level = 'none', at, message } of entries) {
    const counts = services.get(service) ?? { service, total: 0, levels: {}, first: at, last: at };
    services.set(service, counts);
    counts.total += 1;
    counts.levels[level] = (counts.levels[level] ?? 0) + 1;
    if (counts.first === '') counts.first = at;
    if (at !== '') counts.last = at;
    const form = formOf(message);
    const key = `${service} ${level} ${form}`;
    const known = messages.get(key);
    if (known !== undefined) {
      known.count += 1;
      known.last = at;
    } else {
      if (messages.size >= messageLimit) forgotten = forget(messages);
      messages.set(key, { service, level, message: form, count: 1, last: at });
    }
  }
  return {
    services: [...services.values()].sort((a, b) => (a.service < b.service ? -1 : 1)),
    messages: [...messages.values()].sort((a, b) => b.count - a.count || severity(b.level) - severity(a.level)),
    forgotten,
  };
}

/** Makes room: those that came least often go. */
function forget(messages: Map<string, MessageCount>): true {
  for (let least = 1; messages.size > messageLimit / 2; least *= 2) {
    for (const [key, { count }] of messages) if (count <= least) messages.delete(key);
  }
  return true;
}

function severity(level: string): number {
  return (logLevels as readonly string[]).indexOf(level);
}

const ids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b/gi;

function formOf(message: string): string {
  return message
    .slice(0, messageLength)
    .replaceAll(ids, '…')
    .replaceAll(/\d+([.,:]\d+)*/g, '…');
}
