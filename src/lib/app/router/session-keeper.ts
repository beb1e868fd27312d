import {
  claimUnsettled,
  endIdle,
  endOfFormerRuns,
  forgetSessions,
  type UnsettledSession,
} from '../../domain/mcp/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { Sessions } from './sessions.ts';

/** What is over for so many days is forgotten. */
const rememberedDays = 30;
const retryMs = 1000;

export interface SessionKeeperOptions {
  readonly database: Pick<Database, 'query' | 'listen'>;
  readonly sessions: Sessions;
  /** The runs of servers that this process can reach. */
  readonly instances: () => readonly ServiceInstanceId[];
  /** Tells a server that a session of its is over. */
  readonly tell: (session: UnsettledSession) => void;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * Ends sessions that nobody uses, and hears of those that were ended elsewhere: by another API process, or by
 * `plugins mcp sessions end`. Every API process does so; each end is told to the server by one of them.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  readonly #clock: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #unlisten: (() => Promise<void>) | undefined;
  #sweeping: Promise<void> | undefined;
  #closed = false;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    this.#clock = setInterval(() => void this.sweep(), Math.min(30_000, options.sessions.idleMs / 4)).unref();
    this.#listen();
  }

  /** Ends what is unused, and tells servers what they have to know; never rejects. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch((err: unknown) => this.#options.log.warn({ err }, 'Sessions that nobody uses were not ended'))
      .finally(() => {
        this.#sweeping = undefined;
      });
    return this.#sweeping;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#clock);
    clearTimeout(this.#retry);
    await this.#unlisten?.();
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const { database, sessions } = this.#options;
    await endIdle(database, sessions.certainlyIdleMs);
    await endOfFormerRuns(database);
    await forgetSessions(database, rememberedDays);
    await this.#settle();
  }

  async #settle(): Promise<void> {
    const { database, instances, tell } = this.#options;
    const reachable = instances();
    if (reachable.length === 0) return;
    for (const session of await claimUnsettled(database, reachable)) tell(session);
  }

  #listen(): void {
    const { database, sessions, log } = this.#options;
    const heard = async (payload: string, reconnected: boolean) => {
      if (reconnected) await sessions.recheck();
      else sessions.markEnded(payload);
      await this.#settle();
    };
    database
      .listen('mcp_sessions', (payload, reconnected) => {
        if (this.#closed) return;
        // What is missed here the next sweep does.
        void heard(payload, reconnected).catch((err: unknown) => log.warn({ err }, 'An ended session was not told on'));
      })
      .then(
        (unlisten) => {
          if (this.#closed) void unlisten();
          else this.#unlisten = unlisten;
        },
        () => {
          if (!this.#closed) this.#retry = setTimeout(() => this.#listen(), retryMs);
        },
      );
  }
}
