import { recordIdentityEvent } from '../../domain/auth/index.ts';
import {
  type Catalogue,
  type CatalogueTool,
  endForms,
  eraseForms,
  type Judged,
  type ListSource,
  listsByUser,
  lockServerTools,
  type McpServerConfig,
  markGone,
  type Observed,
  type RawTool,
  type ReadTool,
  readTool,
  readToolLists,
  readToolRecords,
  readUserTools,
  refusedForm,
  type ToolList,
  type ToolPolicy,
  type ToolRecord,
  type UserToolList,
  writeToolList,
  writeTools,
  writeUserTools,
} from '../../domain/mcp/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { AppError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { toolDigest } from './digest.ts';
import { crowdedError, heldError } from './held.ts';
import { formsMax, fullNames, look, planOf, planOfForms } from './plan.ts';
import { UserLists } from './user-lists.ts';

/** A server as far as its tools are concerned. */
export interface CatalogueServer extends Pick<McpServerConfig, 'process' | 'external'> {
  readonly name: string;
  readonly toolPolicy?: ToolPolicy;
}

export interface CatalogueOptions {
  readonly database: Pick<Database, 'query' | 'transaction' | 'listen'>;
  readonly servers: readonly CatalogueServer[];
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

const retryMs = 500;
/** Most names in a user's list that is put together from what passed. */
const namesMax = 5_000;
const noTools: readonly CatalogueTool[] = [];

/** The catalogue over the database: the same in every API process, which tell each other of changes by NOTIFY. */
export class ToolCatalogue implements Catalogue {
  readonly #database: CatalogueOptions['database'];
  readonly #policies: ReadonlyMap<string, ToolPolicy>;
  readonly #log: CatalogueOptions['log'];
  /** Servers that give each user a list of their own. */
  readonly #ofUsers: ReadonlySet<string>;
  /** By server, then by name; where users have lists of their own, by name and digest. */
  readonly #tools = new Map<string, ReadonlyMap<string, CatalogueTool>>();
  /** How many forms of each tool there are, of servers that give each user a list of their own. */
  readonly #forms = new Map<string, ReadonlyMap<string, number>>();
  readonly #lists = new Map<string, ToolList>();
  readonly #listeners = new Set<(server: string) => void>();
  /** Servers to be read again; `undefined` for all. */
  readonly #stale = new Set<string | undefined>();
  #reading: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #unlisten: (() => Promise<void>) | undefined;
  #userLists: UserLists | undefined;
  #closed = false;

  private constructor(options: CatalogueOptions) {
    this.#database = options.database;
    this.#policies = new Map(options.servers.map(({ name, toolPolicy }) => [name, toolPolicy ?? 'auto']));
    this.#ofUsers = new Set(options.servers.filter(listsByUser).map(({ name }) => name));
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
      if (catalogue.#ofUsers.size > 0) catalogue.#userLists = await UserLists.open(options.database);
      await catalogue.#read(undefined);
    } catch (error) {
      await catalogue.close();
      throw error;
    }
    return catalogue;
  }

  listsByUser(server: string): boolean {
    return this.#ofUsers.has(server);
  }

  ready(server: string, user: string): Promise<void> | undefined {
    return this.#ofUsers.has(server) ? this.#userLists?.ready(server, user) : undefined;
  }

  tools(server: string, user?: string): readonly CatalogueTool[] {
    const tools = this.#tools.get(server);
    if (tools === undefined) return noTools;
    if (!this.#ofUsers.has(server)) return [...tools.values()];
    const listed = this.#listOf(server, user);
    return listed === undefined
      ? noTools
      : [...listed].flatMap(([name, digest]) => tools.get(formKey(name, digest)) ?? []);
  }

  find(server: string, tool: string, user?: string): CatalogueTool | undefined {
    if (!this.#ofUsers.has(server)) return this.#tools.get(server)?.get(tool);
    const digest = this.#listOf(server, user)?.get(tool);
    return digest === undefined ? undefined : this.#tools.get(server)?.get(formKey(tool, digest));
  }

  /** A user's own list, if one is in memory: see `ready`. */
  ownList(server: string, user: string): UserToolList | undefined {
    return this.#userLists?.of(server, user);
  }

  #listOf(server: string, user: string | undefined): ReadonlyMap<string, string> | undefined {
    return user === undefined ? undefined : this.#userLists?.of(server, user)?.tools;
  }

  policy(server: string): ToolPolicy {
    return this.#policies.get(server) ?? 'auto';
  }

  judge(server: string, listed: readonly RawTool[], user?: string): Judged[] {
    const names = listed.map((entry) => entry['name']);
    return listed.map((entry) => {
      if (typeof entry['name'] !== 'string' || entry['name'] === '') return { known: true, admitted: false };
      const twice = names.indexOf(entry['name']) !== names.lastIndexOf(entry['name']);
      if (twice) {
        const on = this.find(server, entry['name'], user);
        return { known: this.#ofUsers.has(server) ? on === undefined : on?.reason === 'invalid', admitted: false };
      }
      const tool = readTool(entry);
      return this.#ofUsers.has(server) ? this.#judgeForm(server, tool, user) : this.#judgeOne(server, tool);
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

  /** A form is judged by itself, whoever else lists it, or lists another under its name. */
  #judgeForm(server: string, tool: ReadTool, user: string | undefined): Judged {
    const digest = toolDigest(tool);
    const form = this.#tools.get(server)?.get(formKey(tool.name, digest));
    const listed = this.#listOf(server, user)?.get(tool.name);
    if (form === undefined && this.#formsOf(server, tool.name) >= formsMax) {
      return { known: listed === refusedForm, admitted: false };
    }
    const known = form !== undefined && listed === digest;
    if (tool.invalid !== undefined || form?.reason === 'invalid') return { known, admitted: false };
    return { known, admitted: this.policy(server) === 'auto' || form?.state === 'approved' };
  }

  #formsOf(server: string, tool: string): number {
    return this.#forms.get(server)?.get(tool) ?? 0;
  }

  refusalOf(server: string, tool: string, user?: string): AppError | undefined {
    if (this.#ofUsers.has(server) && this.#listOf(server, user)?.get(tool) === refusedForm) {
      return crowdedError(server, tool);
    }
    const known = this.find(server, tool, user);
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
    if (this.#ofUsers.has(server)) return this.#observeOfUser(server, listed, source);
    const known = this.#tools.get(server);
    const seen = await look(listed, (name) => known?.get(name));
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

  /** A user's list: its forms are put on record for all, and which of them it has for the user alone. */
  async #observeOfUser(server: string, listed: readonly RawTool[], source: ListSource): Promise<Observed> {
    const { user, instanceId, partial = false } = source;
    if (user === undefined) return { added: [], changed: [], returned: [], gone: [], held: [] };
    await this.ready(server, user);
    const known = this.#tools.get(server);
    // A name that is listed twice is this user's trouble alone: either form may be another's.
    const times = Map.groupBy(listed, (entry) => entry['name']);
    const once = listed.filter((entry) => times.get(entry['name'])?.length === 1);
    const seen = await look(once, (name, digest) => known?.get(formKey(name, digest)));
    const fresh = seen.map(({ name, digest }) => [name, digest] as const);
    const before = this.#listOf(server, user) ?? new Map<string, string>();
    const merged = new Map(partial && before.size + fresh.length <= namesMax ? [...before, ...fresh] : fresh);
    const list = { tools: merged, instanceId: instanceId ?? this.#userLists?.of(server, user)?.instanceId };
    const { observed, moved } = await this.#database.transaction(async (tx) => {
      await lockServerTools(tx, server);
      const had = (await readUserTools(tx, server, user))?.tools ?? new Map<string, string>();
      await writeUserTools(tx, server, user, list);
      const names = seen.map(({ name }) => name);
      const records = await readToolRecords(tx, server, names);
      const left = [...had].flatMap(([name, digest]) => (merged.get(name) === digest ? [] : [name]));
      // Accounts that are gone have left theirs.
      const ended = await endForms(tx, server, [...left, ...fullNames(seen, records)]);
      const times = new Map([...Map.groupBy(ended, ({ name }) => name)].map(([name, forms]) => [name, forms.length]));
      const { writes, observed: result, refused } = planOfForms(seen, records, this.policy(server), times);
      await writeTools(tx, server, writes, true);
      await eraseForms(tx, server, ended);
      for (const name of refused) merged.set(name, refusedForm);
      if (refused.length > 0) await writeUserTools(tx, server, user, list);
      await this.#record(tx, server, result, false, user);
      return { observed: result, moved: writes.length + ended.length > 0 };
    });
    this.#userLists?.set(server, user, list);
    if (moved) await this.#reread(server);
    else for (const listener of this.#listeners) listener(server);
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
    await this.#userLists?.close();
    await this.#reading;
  }

  /** What changes after the first sight of a server is an event of identity: it changes what callers may do. */
  async #record(tx: Queryable, server: string, observed: Observed, first: boolean, user?: string): Promise<void> {
    const { added, changed, returned, gone, held } = observed;
    const moved = added.length + changed.length + returned.length + gone.length + held.length;
    if (moved === 0) return;
    this.#log.info({ server, policy: this.policy(server), ...observed }, first ? 'Tools seen' : 'Tools changed');
    if (first && held.length === 0) return;
    await recordIdentityEvent(tx, {
      type: 'tools_changed',
      userId: user as UserId | undefined,
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
      const key = this.#keyOf(record);
      if (key === undefined) continue;
      const tools = byServer.get(record.server) ?? new Map<string, CatalogueTool>();
      byServer.set(record.server, tools.set(key, record));
    }
    for (const [name, tools] of byServer) {
      this.#tools.set(name, tools);
      if (!this.#ofUsers.has(name)) continue;
      const forms = Map.groupBy(tools.values(), (tool) => tool.name);
      this.#forms.set(name, new Map([...forms].map(([tool, all]) => [tool, all.length])));
    }
    for (const list of lists) this.#lists.set(list.server, list);
    for (const name of byServer.keys()) for (const listener of this.#listeners) listener(name);
  }

  /** Forms of single tools are of a time when users had lists of their own there, where they have none now. */
  #keyOf({ server, name, digest, form }: ToolRecord): string | undefined {
    if (this.#ofUsers.has(server)) return formKey(name, digest);
    return form === '' ? name : undefined;
  }
}

function formKey(name: string, digest: string): string {
  return `${digest} ${name}`;
}
