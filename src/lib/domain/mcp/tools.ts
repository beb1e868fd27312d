import type { AppError } from '../../shared/errors.ts';
import type { ToolsRow } from './tables.ts';

/** A tool as its server lists it: one entry of `tools` of a tools/list result, from `JSON.parse`. */
export type RawTool = Readonly<Record<string, unknown>>;

/** Approved: may be called in the form that the server lists; held: may not; gone: the server lists it no more. */
export type ToolState = ToolsRow['state'];

/** Why a tool is held: never seen before, other than what was approved, said something suspicious, or is no tool. */
export type HeldReason = NonNullable<ToolsRow['reason']>;

/** What the scan for injected instructions found in a tool. */
export interface Finding {
  /** Name of the rule. */
  readonly rule: string;
  readonly severity: 'high' | 'medium';
  /** Where: a path such as `description` or `inputSchema.properties.path.description`. */
  readonly at: string;
  /** The words that it goes by, hidden characters written out; bounded. */
  readonly excerpt: string;
}

/** One tool of one server as the catalogue knows it. */
export interface CatalogueTool {
  readonly server: string;
  readonly name: string;
  /** SHA-256, hex, of the canonical JSON of what callers and models see of the tool. */
  readonly digest: string;
  /** As the server lists it now; as it listed it last when the tool is gone. */
  readonly definition: RawTool;
  readonly state: ToolState;
  readonly reason: HeldReason | undefined;
  /** The form that was approved last. */
  readonly approvedDigest: string | undefined;
  readonly findings: readonly Finding[];
}

/** What came of looking at a server's list: names of tools. */
export interface Observed {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly returned: readonly string[];
  readonly gone: readonly string[];
  readonly held: readonly string[];
}

/** How a list was come by. */
export interface ListSource {
  /** The run of the server that gave it to the system; absent for a list that passed on its way to a client. */
  readonly instanceId?: string | undefined;
  /** Whether it may lack tools that others see: then what it lacks is not gone. */
  readonly partial?: boolean;
  /** Whose list it is, of a server that gives each user one of their own. */
  readonly user?: string | undefined;
}

/** What is thought of one entry of a list. */
export interface Judged {
  /** Whether it is on record in this very form. */
  readonly known: boolean;
  /** Whether callers may be shown it, as far as its state goes. */
  readonly admitted: boolean;
}

/**
 * The tools of all servers, in memory and current: which of them there are, and which may be called. Of a server that gives
 * each user a list of their own, what is said is about the list of `user`; without one there is nothing to say.
 */
export interface Catalogue {
  /** Whether each user has a list of their own there. */
  listsByUser(server: string): boolean;
  /** Brings a user's own list into memory: await it before anything else is asked about it. Nothing where there is none to bring. */
  ready(server: string, user: string): Promise<void> | undefined;
  /** All that the server is known to have, by name, those that are held or gone among them; none when it was never asked. */
  tools(server: string, user?: string): readonly CatalogueTool[];
  find(server: string, tool: string, user?: string): CatalogueTool | undefined;
  /**
   * Takes in a whole list of a server: pins what is new or changed (policy `auto`) or holds it (`review`).
   * @throws DatabaseUnavailableError
   */
  observe(server: string, listed: readonly RawTool[], source?: ListSource): Promise<Observed>;
  /** The entries of a list that the server gives a client, one by one. */
  judge(server: string, listed: readonly RawTool[], user?: string): Judged[];
  /** Why the tool may not be called; nothing for one that may, or that the catalogue does not know. */
  refusalOf(server: string, tool: string, user?: string): AppError | undefined;
}
