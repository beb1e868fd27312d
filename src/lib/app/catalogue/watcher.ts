import { listsByUser, type McpServerConfig } from '../../domain/mcp/index.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { toAppError } from '../../shared/errors.ts';
import type { Directory, Upstreams } from '../router/upstreams.ts';
import type { UpstreamCredentialSource } from '../upstream/credentials.ts';
import { askForTools } from './ask.ts';
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
    this.#off = [options.directory.onChange(() => this.#look())];
    this.#timer = setInterval(() => this.#look(), Math.min(this.#everyMs, 30_000)).unref();
    this.#look();
  }

  /** A server said that its list changed (`notifications/tools/list_changed`). */
  changed(server: string): void {
    if (this.#changed.has(server)) return;
    this.#changed.add(server);
    this.#look();
  }

  /** Resolves when nobody is being asked. */
  async idle(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking.values());
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
      const asked = this.#ask(config).finally(() => {
        this.#asking.delete(config.name);
        this.#look();
      });
      this.#asking.set(config.name, asked);
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
    try {
      const wanted = await this.#options.credentials?.headerFor(server, undefined);
      const asked = await askForTools(upstreams, server, config.oauth.scopes, wanted);
      await catalogue.observe(server, asked.tools, { instanceId: asked.instanceId });
      this.#attempts.delete(server);
    } catch (thrown) {
      const error = toAppError(thrown);
      const before = this.#attempts.get(server);
      const failures = before?.instanceId === instanceId ? before.failures + 1 : 1;
      const wait = Math.min(this.#retryMs * 2 ** (failures - 1), this.#everyMs);
      this.#attempts.set(server, { instanceId, failures, notBefore: Date.now() + wait });
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
