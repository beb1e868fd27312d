import { recordIdentityEvent } from '../../domain/auth/index.ts';
import {
  type Catalogue,
  type CatalogueTool,
  type Judged,
  type ListSource,
  lockServerTools,
  markGone,
  type Observed,
  type RawTool,
  type ReadTool,
  readTool,
  readToolLists,
  readToolRecords,
  type ToolList,
  type ToolPolicy,
  writeToolList,
  writeTools,
} from '../../domain/mcp/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { AppError } from '../../shared/errors.ts';
import { toolDigest } from './digest.ts';
import { heldError } from './held.ts';
import { look, planOf } from './plan.ts';

/** A server as far as its tools are concerned. */
export interface CatalogueServer {
  readonly name: string;
  readonly toolPolicy?: ToolPolicy;
}

export interface CatalogueOptions {
  readonly database: Pick<Database, 'query' | 'transaction' | 'listen'>;
  readonly servers: readonly CatalogueServer[];
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

const retryMs = 500;
const noTools: readonly CatalogueTool[] = [];

/** The catalogue over the database: the same in every API process, which tell each other of changes by NOTIFY. */
export class ToolCatalogue implements Catalogue {
  readonly #database: CatalogueOptions['database'];
  readonly #policies: ReadonlyMap<string, ToolPolicy>;
  readonly #log: CatalogueOptions['log'];
  readonly #tools = new Map<string, ReadonlyMap<string, CatalogueTool>>();
  readonly #lists = new Map<string, ToolList>();
  readonly #listeners = new Set<(server: string) => void>();
  /** Servers to be read again; `undefined` for all. */
  readonly #stale = new Set<string | undefined>();
  #reading: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #unlisten: (() => Promise<void>) | undefined;
  #closed = false;

  private constructor(options: CatalogueOptions) {
    this.#database = options.database;
    this.#policies = new Map(options.servers.map(({ name, toolPolicy }) => [name, toolPolicy ?? 'auto']));
    this.#log = options.log;
  }

  /** @throws DatabaseUnavailableError */
  static async open(options: CatalogueOptions): Promise<ToolCatalogue> {
    const catalogue = new ToolCatalogue(options);
    // Listening first: a change between the read and the subscription would be missed.
    catalogue.#unlisten = await options.database.listen('mcp_tools', (payload, reconnected) =>
      catalogue.#reread(reconnected ? undefined : payload),
    );
    try {
      await catalogue.#read(undefined);
    } catch (error) {
      await catalogue.close();
      throw error;
    }
    return catalogue;
  }

  tools(server: string): readonly CatalogueTool[] {
    const tools = this.#tools.get(server);
    return tools === undefined ? noTools : [...tools.values()];
  }

  find(server: string, tool: string): CatalogueTool | undefined {
    return this.#tools.get(server)?.get(tool);
  }

  policy(server: string): ToolPolicy {
    return this.#policies.get(server) ?? 'auto';
  }

  judge(server: string, listed: readonly RawTool[]): Judged[] {
    const names = listed.map((entry) => entry['name']);
    return listed.map((entry) => {
      if (typeof entry['name'] !== 'string' || entry['name'] === '') return { known: true, admitted: false };
      const twice = names.indexOf(entry['name']) !== names.lastIndexOf(entry['name']);
      if (twice) return { known: this.find(server, entry['name'])?.reason === 'invalid', admitted: false };
      return this.#judgeOne(server, readTool(entry));
    });
  }

  #judgeOne(server: string, tool: ReadTool): Judged {
    const digest = toolDigest(tool);
    const record = this.find(server, tool.name);
    const known = record?.digest === digest && record.state !== 'gone';
    if (tool.invalid !== undefined || (known && record.reason === 'invalid')) return { known, admitted: false };
    if (this.policy(server) === 'auto') return { known, admitted: true };
    return { known, admitted: record?.approvedDigest === digest && record.state !== 'held' };
  }

  refusalOf(server: string, tool: string): AppError | undefined {
    const known = this.find(server, tool);
    if (known?.state === 'approved') return undefined;
    if (known?.reason === 'invalid') return heldError(server, tool, known);
    if (this.policy(server) === 'auto') return undefined;
    // What the system is not shown, others may be: what was approved stays so.
    if (known?.state === 'gone' && known.digest === known.approvedDigest) return undefined;
    return heldError(server, tool, known);
  }

  /** What came of the last time that the server was asked, by any process. */
  list(server: string): ToolList | undefined {
    return this.#lists.get(server);
  }

  /** @returns a function that unsubscribes */
  onChange(listener: (server: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async observe(server: string, listed: readonly RawTool[], source: ListSource = {}): Promise<Observed> {
    const seen = await look(listed, this.#tools.get(server));
    const observed = await this.#database.transaction(async (tx) => {
      await lockServerTools(tx, server);
      const records = await readToolRecords(tx, server);
      const { writes, gone, observed: result } = planOf(seen, records, this.policy(server), source.partial === true);
      await writeTools(tx, server, writes);
      await markGone(tx, server, gone);
      if (source.instanceId !== undefined)
        await writeToolList(tx, { server, instanceId: source.instanceId, tools: seen.length });
      await this.#record(tx, server, result, records.length === 0);
      return result;
    });
    await this.#reread(server);
    return observed;
  }

  /** Notes that a server could not be asked, for people to see. */
  async failed(server: string, instanceId: string | undefined, error: string): Promise<void> {
    await writeToolList(this.#database, { server, instanceId, error });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#listeners.clear();
    await this.#unlisten?.();
    await this.#reading;
  }

  /** What changes after the first sight of a server is an event of identity: it changes what callers may do. */
  async #record(tx: Queryable, server: string, observed: Observed, first: boolean): Promise<void> {
    const { added, changed, returned, gone, held } = observed;
    const moved = added.length + changed.length + returned.length + gone.length + held.length;
    if (moved === 0) return;
    this.#log.info({ server, policy: this.policy(server), ...observed }, first ? 'Tools seen' : 'Tools changed');
    if (first && held.length === 0) return;
    await recordIdentityEvent(tx, {
      type: 'tools_changed',
      resource: server,
      data: { policy: this.policy(server), added: first ? [] : added, changed, returned, gone, held },
    });
  }

  /** Reads the tools of a server again. One read at a time; what is announced meanwhile is read after it. */
  async #reread(server: string | undefined): Promise<void> {
    this.#stale.add(server);
    this.#reading ??= this.#drain().finally(() => {
      this.#reading = undefined;
      if (this.#stale.size > 0 && !this.#closed && this.#retry === undefined) void this.#reread([...this.#stale][0]);
    });
    await this.#reading;
  }

  async #drain(): Promise<void> {
    while (this.#stale.size > 0 && !this.#closed) {
      const all = [...this.#stale];
      this.#stale.clear();
      try {
        if (all.includes(undefined)) await this.#read(undefined);
        else for (const server of all) await this.#read(server);
      } catch (error) {
        // The last known picture stays: what it holds is held, and what is new is looked at as it passes.
        for (const server of all) this.#stale.add(server);
        this.#log.warn({ err: error }, 'The tools of the servers could not be read');
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          void this.#reread(all[0]);
        }, retryMs);
        return;
      }
    }
  }

  async #read(server: string | undefined): Promise<void> {
    const records = await readToolRecords(this.#database, server);
    const lists = await readToolLists(this.#database, server);
    const byServer = new Map<string, Map<string, CatalogueTool>>();
    if (server !== undefined) byServer.set(server, new Map());
    for (const record of records) {
      const tools = byServer.get(record.server) ?? new Map<string, CatalogueTool>();
      byServer.set(record.server, tools.set(record.name, record));
    }
    for (const [name, tools] of byServer) this.#tools.set(name, tools);
    for (const list of lists) this.#lists.set(list.server, list);
    for (const name of byServer.keys()) for (const listener of this.#listeners) listener(name);
  }
}
