import { listsByUser, type McpServerConfig } from '../../domain/mcp/index.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { type AppError, toAppError, UpstreamUnavailableError } from '../../shared/errors.ts';
import type { Directory, Upstreams } from '../router/upstreams.ts';
import type { UpstreamCredentialSource } from '../upstream/credentials.ts';
import { type AskedFor, askForTools } from './ask.ts';
import type { ToolCatalogue } from './catalogue.ts';

export interface WatcherOptions {
  readonly catalogue: ToolCatalogue;
  readonly directory: Directory;
  readonly upstreams: Pick<Upstreams, 'to'>;
  readonly servers: readonly McpServerConfig[];
  /** What servers behind want with their requests. */
  readonly credentials?: UpstreamCredentialSource | undefined;
  readonly log: Pick<Logger, 'warn'>;
  /** How often a server that runs is asked again, in ms; 5 minutes unless told. */
  readonly everyMs?: number;
  /** How long after a failed attempt the next one begins, in ms; doubled with each, up to `everyMs`. */
  readonly retryMs?: number;
}

interface Attempt {
  readonly instanceId: string;
  readonly failures: number;
  /** By `Date.now()`: not before that. */
  readonly notBefore: number;
  /** By `performance.now()`: when it had failed. */
  readonly at: number;
  readonly error: AppError;
}

/** How often a server is asked because it says that its list changed, in ms at most: some say so without end. */
const changedEveryMs = 500;

/** How many servers are asked at once. */
const atOnce = 4;

/**
 * Asks each server for its tools when a run of it becomes ready, when its list may have changed, and now and then. Every
 * API process does; whoever comes first has it on record, and the others see that it is.
 */
export class ToolWatcher {
  readonly #options: WatcherOptions;
  readonly #everyMs: number;
  readonly #retryMs: number;
  readonly #attempts = new Map<string, Attempt>();
  readonly #asking = new Map<string, Promise<void>>();
  /** Servers that said that their list changed. */
  readonly #changed = new Set<string>();
  /** Those of them that are under review and were not looked at since; with the user, where each has a list of their own. */
  readonly #unseen = new Set<string>();
  /** The last run of each server under review that was looked at. */
  readonly #seen = new Map<string, string>();
  /** Users' own lists that are asked for, by server and user. */
  readonly #own = new Map<string, Promise<AppError | undefined>>();
  readonly #reviewed: ReadonlyMap<string, McpServerConfig>;
  /** When they were last asked for saying so, by `performance.now()`. */
  readonly #heeded = new Map<string, number>();
  readonly #off: readonly (() => void)[];
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? 300_000;
    this.#retryMs = options.retryMs ?? 1_000;
    this.#reviewed = new Map(
      options.servers.filter(({ toolPolicy }) => toolPolicy === 'review').map((config) => [config.name, config]),
    );
    this.#off = [options.directory.onChange(() => this.#look())];
    this.#timer = setInterval(() => this.#look(), Math.min(this.#everyMs, 30_000)).unref();
    this.#look();
  }

  /**
   * A server said that its list changed (`notifications/tools/list_changed`).
   * @param user who was told
   */
  changed(server: string, user?: string): void {
    const config = this.#reviewed.get(server);
    if (config !== undefined && !listsByUser(config)) this.#unseen.add(server);
    else if (config !== undefined && user !== undefined) this.#unseen.add(`${server} ${user}`);
    if (this.#changed.has(server)) return;
    this.#changed.add(server);
    this.#look();
  }

  /**
   * What a call of a server under review waits for: a run that is new, a list that is said to have changed, or that of a user
   * whose list nobody has seen, is looked at before any call passes.
   * @returns nothing, at once, when there is nothing to wait for; else why the look failed, if it did
   */
  before(server: string, caller: AskedFor): Promise<AppError | undefined> | undefined {
    const config = this.#reviewed.get(server);
    if (config === undefined || config.kind === 'virtual') return undefined;
    if (listsByUser(config)) return this.#isOwnSeen(config, caller) ? undefined : this.own(server, caller);
    return this.#isSeen(config) ? undefined : this.#firstLook(config);
  }

  /** Asks for a user's own list, in the user's name. @returns why there is none, if there is none */
  own(server: string, caller: AskedFor): Promise<AppError | undefined> {
    const key = `${server} ${caller.sub}`;
    const going = this.#own.get(key);
    if (going !== undefined) return going;
    const asking = this.#askOwn(server, caller).finally(() => this.#own.delete(key));
    this.#own.set(key, asking);
    return asking;
  }

  /** Resolves when nobody is being asked. */
  async idle(): Promise<void> {
    while (this.#asking.size + this.#own.size > 0) await Promise.all([...this.#asking.values(), ...this.#own.values()]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    for (const off of this.#off) off();
    await this.idle();
  }

  #look(): void {
    if (this.#closed) return;
    for (const config of this.#options.servers) {
      if (this.#asking.size >= atOnce) return;
      if (this.#asking.has(config.name) || !this.#isDue(config)) continue;
      void this.#begin(config);
    }
  }

  #begin(config: McpServerConfig): Promise<void> {
    const asked = this.#ask(config).finally(() => {
      this.#asking.delete(config.name);
      this.#look();
    });
    this.#asking.set(config.name, asked);
    return asked;
  }

  #instanceOf(server: string): string | undefined {
    return this.#options.directory.endpoint(`mcp:${server}`)?.instanceId;
  }

  #isSeen({ name }: McpServerConfig): boolean {
    const instanceId = this.#instanceOf(name);
    // Without a run there is nothing to call.
    if (instanceId === undefined) return true;
    if (this.#unseen.has(name)) return false;
    if (this.#seen.get(name) === instanceId) return true;
    // Another process may have looked at it.
    const list = this.#options.catalogue.list(name);
    if (list?.instanceId !== instanceId || list.error !== undefined) return false;
    this.#seen.set(name, instanceId);
    return true;
  }

  #isOwnSeen({ name }: McpServerConfig, { sub }: AskedFor): boolean {
    const { catalogue } = this.#options;
    const instanceId = this.#instanceOf(name);
    return (
      instanceId === undefined ||
      (!this.#unseen.has(`${name} ${sub}`) && catalogue.ownList(name, sub)?.instanceId === instanceId)
    );
  }

  /** A look that begins now: one that is under way may have begun before the change. */
  async #firstLook(config: McpServerConfig): Promise<AppError | undefined> {
    const { name } = config;
    await this.#asking.get(name);
    if (this.#isSeen(config)) return undefined;
    const attempt = this.#attempts.get(name);
    const failed = attempt?.instanceId === this.#instanceOf(name) ? attempt : undefined;
    if (failed === undefined || performance.now() - failed.at >= this.#retryMs) {
      await (this.#asking.get(name) ?? this.#begin(config));
    }
    return this.#isSeen(config) ? undefined : notSeen(name, this.#attempts.get(name)?.error);
  }

  async #askOwn(server: string, caller: AskedFor): Promise<AppError | undefined> {
    const { catalogue, upstreams, credentials } = this.#options;
    const unseen = this.#unseen.delete(`${server} ${caller.sub}`);
    try {
      await catalogue.ready(server, caller.sub);
      const wanted = await credentials?.headerFor(server, caller.sub);
      const { tools, instanceId } = await askForTools(upstreams, server, caller, wanted);
      await catalogue.observe(server, tools, { instanceId, user: caller.sub });
      return undefined;
    } catch (thrown) {
      if (unseen) this.#unseen.add(`${server} ${caller.sub}`);
      const error = toAppError(thrown);
      return error.code === 'FORBIDDEN' ? error : notSeen(server, error);
    }
  }

  #isDue(config: McpServerConfig): boolean {
    if (!config.enabled || !answersTheSystem(config)) return false;
    const { directory, catalogue } = this.#options;
    const endpoint = directory.endpoint(`mcp:${config.name}`);
    if (endpoint === undefined || endpoint.state !== 'ready' || !endpoint.serving) return false;
    const attempt = this.#attempts.get(config.name);
    const mine = attempt?.instanceId === endpoint.instanceId ? attempt : undefined;
    if (mine !== undefined && Date.now() < mine.notBefore) return false;
    if (this.#changed.has(config.name)) return this.#isHeeded(config.name);
    const list = catalogue.list(config.name);
    if (list === undefined || list.instanceId !== endpoint.instanceId || list.error !== undefined) return true;
    // Asking would start a program that is stopped for being idle.
    return !startsOnDemand(config) && Date.now() - list.listedAt >= this.#everyMs;
  }

  #isHeeded(server: string): boolean {
    const now = performance.now();
    const wait = (this.#heeded.get(server) ?? -changedEveryMs) + changedEveryMs - now;
    if (wait > 0) setTimeout(() => this.#look(), wait + 1).unref();
    else this.#heeded.set(server, now);
    return wait <= 0;
  }

  async #ask(config: McpServerConfig): Promise<void> {
    const { catalogue, upstreams, directory, log } = this.#options;
    const server = config.name;
    const instanceId: string = directory.endpoint(`mcp:${server}`)?.instanceId ?? '';
    this.#changed.delete(server);
    const unseen = this.#unseen.delete(server);
    try {
      const wanted = await this.#options.credentials?.headerFor(server, undefined);
      const asked = await askForTools(upstreams, server, config.oauth, wanted);
      await catalogue.observe(server, asked.tools, { instanceId: asked.instanceId });
      this.#attempts.delete(server);
      this.#seen.set(server, asked.instanceId);
    } catch (thrown) {
      if (unseen) this.#unseen.add(server);
      const error = toAppError(thrown);
      const before = this.#attempts.get(server);
      const failures = before?.instanceId === instanceId ? before.failures + 1 : 1;
      const wait = Math.min(this.#retryMs * 2 ** (failures - 1), this.#everyMs);
      this.#attempts.set(server, { instanceId, failures, notBefore: Date.now() + wait, at: performance.now(), error });
      clearTimeout(this.#soon);
      this.#soon = setTimeout(() => this.#look(), wait + 1).unref();
      log.warn({ server, code: error.code, reason: error.message }, 'The tools of a server could not be listed');
      // The database may be what failed; then the next attempt tells.
      await catalogue.failed(server, instanceId === '' ? undefined : instanceId, error.message).catch(() => undefined);
    }
  }
}

/** A server whose instances belong to users, or that needs a user's credentials, is learnt from what passes to a user. */
function answersTheSystem(config: McpServerConfig): boolean {
  return config.kind !== 'virtual' && !listsByUser(config);
}

function startsOnDemand(config: McpServerConfig): boolean {
  return config.process !== undefined;
}

function notSeen(server: string, cause: AppError | undefined): AppError {
  return new UpstreamUnavailableError(
    `The tools of ${server} can’t be looked at, and no call passes before they are.`,
    {
      hint: 'Try again in a moment.',
      next: [`plugins mcp logs ${server}`],
      data: { server, ...(cause === undefined ? {} : { reason: cause.message }) },
      cause,
    },
  );
}
