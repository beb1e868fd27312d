import { forgetServerLogs, insertServerLogs, newestServerLogs, type ServerLogLine } from '../../domain/mcp/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { LineRedactor } from '../../infra/logging/line-redactor.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { LogCursor } from '../../infra/process/log-cursor.ts';
import { logFileOf } from '../../infra/process/logs.ts';
import type { Directory } from '../router/upstreams.ts';
import { readRun } from '../supervisor/log-reading.ts';
import { type LogEntry, lineEntry } from './entries.ts';

export interface ServerLogsOptions {
  readonly database: Queryable;
  readonly logsDir: string;
  /** Names of the servers that have a process. */
  readonly servers: readonly string[];
  readonly directory: Pick<Directory, 'endpoint' | 'onChange'>;
  /** How long lines are kept. */
  readonly days: number;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** How often the files are looked at, in ms; 2 s unless told. */
  readonly lookEveryMs?: number;
}

/** Of one server at most so many lines a look: what is beyond is in the file alone. */
const linesPerLook = 400;
/** Of each server at most so many lines are kept. */
const linesPerServer = 200_000;
/** Of a run that was there before, so many of its last lines are looked at. */
const linesBefore = 400;
const lookEveryMs = 2_000;
/** How long the file of a run that serves no more is followed: it may be drained. */
const lingerMs = 60_000;
const sweepMs = 3_600_000;
/** The last time that has a year of four digits. */
const maxMs = Date.UTC(10_000, 0);

interface Followed {
  readonly server: string;
  readonly instanceId: string;
  readonly cursor: LogCursor;
  readonly redactor: LineRedactor;
  before: LogEntry | undefined;
  /** When it ended, by `performance.now()`. */
  over: number | undefined;
}

/**
 * Copies the lines of MCP servers from their files into the database. Servers write to their files and wait for nobody; what
 * they write beyond a bound is left to the files, so that a server that floods fills no table.
 */
export class ServerLogs {
  readonly #options: ServerLogsOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #off: () => void;
  #newest: ReadonlyMap<string, string> | undefined;
  #looking: Promise<void> = Promise.resolve();
  #busy = false;
  #failing = false;

  constructor(options: ServerLogsOptions) {
    this.#options = options;
    this.#timers = [
      setInterval(() => this.#soon(), options.lookEveryMs ?? lookEveryMs).unref(),
      setInterval(() => void this.#sweep(), sweepMs).unref(),
    ];
    // A run may end before the next look.
    this.#off = options.directory.onChange(() => this.#soon());
  }

  /** Copies what is there. */
  async close(): Promise<void> {
    this.#off();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#looking;
    await this.#look();
  }

  #soon(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#looking = this.#look().finally(() => {
      this.#busy = false;
    });
  }

  async #look(): Promise<void> {
    const { database, log } = this.#options;
    try {
      this.#newest ??= await newestServerLogs(database);
      const lines = this.#follow(this.#newest);
      for (const [path, one] of this.#followed) {
        lines.push(...read(one));
        if (one.over !== undefined && performance.now() - one.over > lingerMs) this.#followed.delete(path);
      }
      if (lines.length > 0) await insertServerLogs(database, lines);
      if (this.#failing) log.info('Lines of servers are kept again');
      this.#failing = false;
    } catch (err) {
      // They are in the files.
      if (!this.#failing) log.warn({ err }, 'Lines of servers could not be kept in the database');
      this.#failing = true;
    }
  }

  /** @returns the last lines of runs that were not followed before */
  #follow(newest: ReadonlyMap<string, string>): ServerLogLine[] {
    const { logsDir, servers, directory } = this.#options;
    const lines: ServerLogLine[] = [];
    const serving = new Set<string>();
    for (const server of servers) {
      const instanceId = directory.endpoint(`mcp:${server}`)?.instanceId;
      if (instanceId === undefined) continue;
      const path = logFileOf(logsDir, `mcp:${server}`, instanceId);
      serving.add(path);
      if (this.#followed.has(path)) continue;
      const service = `mcp:${server}`;
      const since = newest.get(instanceId);
      const wanted = { services: [service], lines: linesBefore, ...(since === undefined ? {} : { since }) };
      const run = readRun({ path, instanceId }, service, wanted);
      const cursor = new LogCursor(path, run.position);
      const one = { server, instanceId, cursor, redactor: run.redactor, before: undefined, over: undefined };
      this.#followed.set(path, one);
      lines.push(
        ...kept(
          one,
          run.lines.map(({ line }) => line),
        ),
      );
    }
    for (const [path, one] of this.#followed) if (!serving.has(path)) one.over ??= performance.now();
    return lines;
  }

  async #sweep(): Promise<void> {
    const { database, days, log } = this.#options;
    await forgetServerLogs(database, days, linesPerServer).catch((err: unknown) =>
      log.warn({ err }, 'Old lines of servers could not be removed'),
    );
  }
}

/** What is new in a file, as much of it as is kept. */
function read(one: Followed): ServerLogLine[] {
  const texts: string[] = [];
  let beyond = 0;
  for (let more = one.cursor.next(); more.length > 0; more = one.cursor.next()) {
    for (const text of more) {
      // Each line, kept or not: a secret may stretch over several.
      const line = one.redactor.redact(text);
      if (texts.length < linesPerLook) texts.push(line);
      else beyond += 1;
    }
  }
  const lines = kept(one, texts);
  const last = lines.at(-1);
  if (beyond === 0 || last === undefined) return lines;
  const { at } = last;
  const msg = `${beyond} more lines are in the file alone: the server wrote too many at once`;
  const { server, instanceId } = one;
  return [...lines, { server, instanceId, at, level: 'warn', line: JSON.stringify({ level: 'warn', time: at, msg }) }];
}

const isId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What a program wrote as its time, in the form of ours: one that is none would keep the lines of all servers out. */
function timeOf(text: string): string | undefined {
  const ms = Date.parse(text);
  return ms >= 0 && ms < maxMs ? new Date(ms).toISOString() : undefined;
}

function kept(one: Followed, texts: readonly string[]): ServerLogLine[] {
  return texts.flatMap((line) => {
    if (line === '') return [];
    const entry = lineEntry({ service: `mcp:${one.server}`, line }, one.before);
    const at = timeOf(entry.at) ?? one.before?.at ?? '';
    one.before = { ...entry, at };
    if (at === '') return [];
    const { server, instanceId } = one;
    const { level, trace } = entry;
    return [
      {
        server,
        instanceId,
        at,
        level: level?.replaceAll('\0', '').slice(0, 20).toWellFormed(),
        executionId: trace !== undefined && isId.test(trace) ? trace : undefined,
        traceId: /"trace_id":"([0-9a-f]{32})"/.exec(line)?.[1],
        userId: entry.user,
        line,
      },
    ];
  });
}
