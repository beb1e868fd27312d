import type { Queryable } from '../../infra/database/connection.ts';
import type { ToolEventsRow, ToolsRow } from './tables.ts';
import type { Decision } from './tool-decision.ts';
import type { CatalogueTool, Finding, RawTool } from './tools.ts';

/** A tool on record, with what only those who manage it want to know. */
export interface ToolRecord extends CatalogueTool {
  /** The digest, where each form is on record apart because users have lists of their own; empty elsewhere. */
  readonly form: string;
  /** The rules by which it was scanned. */
  readonly scannedBy: number;
  readonly approvedAt: Date | undefined;
  /** Id of the user; absent when the server's policy did. */
  readonly approvedBy: string | undefined;
  readonly firstSeen: Date;
  readonly lastSeen: Date;
  readonly changedAt: Date;
}

type Row = ToolsRow & { readonly findings: readonly Finding[]; readonly scanned_by: number };

const columns = `t.*, d.findings, d.scanned_by FROM mcp.tools t
  JOIN mcp.tool_definitions d ON d.server = t.server AND d.name = t.name AND d.digest = t.digest`;

/**
 * All tools on record, or those of one server, by name.
 * @param names those of them alone
 * @throws DatabaseUnavailableError
 */
export async function readToolRecords(
  connection: Queryable,
  server?: string,
  names?: readonly string[],
): Promise<ToolRecord[]> {
  const rows = await connection.query<Row>(
    `SELECT ${columns} WHERE ($1::text IS NULL OR t.server = $1) AND ($2::text[] IS NULL OR t.name = ANY($2))
     ORDER BY t.server, t.name COLLATE "C", t.first_seen`,
    [server ?? null, names ?? null],
    { name: 'mcp_tools_read' },
  );
  return rows.map(toRecord);
}

/** The form of a tool with that digest; nothing when it never had it. */
export async function readDefinition(
  connection: Queryable,
  tool: { readonly server: string; readonly name: string; readonly digest: string },
): Promise<RawTool | undefined> {
  const [row] = await connection.query<{ definition: RawTool }>(
    'SELECT definition FROM mcp.tool_definitions WHERE server = $1 AND name = $2 AND digest = $3',
    [tool.server, tool.name, tool.digest],
  );
  return row?.definition;
}

/** One at a time looks at the tools of a server, in all processes, until the transaction ends. */
export async function lockServerTools(tx: Queryable, server: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('mcp.tools'), hashtext($1))`, [server]);
}

/** What is to be written of one tool that a server lists. */
export interface ToolWrite extends Decision {
  readonly name: string;
  readonly digest: string;
  readonly before: string | null;
  readonly definition: RawTool;
  readonly findings: readonly Finding[];
  readonly scannedBy: number;
}

/**
 * Puts tools on record, each with its form and with what happened to it.
 * @param each whether each form of a tool is on record apart
 * @throws DatabaseUnavailableError
 */
export async function writeTools(
  tx: Queryable,
  server: string,
  tools: readonly ToolWrite[],
  each = false,
): Promise<void> {
  if (tools.length === 0) return;
  const values = [server, JSON.stringify(tools)];
  const from = `FROM jsonb_to_recordset($2::jsonb) AS w (name text, digest text, before text, definition jsonb,
    findings jsonb, "scannedBy" integer, state text, reason text, "approvedDigest" text, event text)`;
  await tx.query(
    `INSERT INTO mcp.tool_definitions AS d (server, name, digest, definition, findings, scanned_by)
     SELECT $1, name, digest, definition, findings, "scannedBy" ${from}
     ON CONFLICT (server, name, digest) DO UPDATE SET findings = EXCLUDED.findings, scanned_by = EXCLUDED.scanned_by
       WHERE d.scanned_by <> EXCLUDED.scanned_by`,
    values,
  );
  await tx.query(
    `INSERT INTO mcp.tools AS t (server, name, form, digest, definition, state, reason, approved_digest, approved_at)
     SELECT $1, name, CASE WHEN $3 THEN digest ELSE '' END, digest, definition, state, reason, "approvedDigest",
       CASE WHEN state = 'approved' THEN now() END ${from}
     ON CONFLICT (server, name, form) DO UPDATE SET digest = EXCLUDED.digest, definition = EXCLUDED.definition,
       state = EXCLUDED.state, reason = EXCLUDED.reason, last_seen = now(),
       changed_at = CASE WHEN t.digest = EXCLUDED.digest THEN t.changed_at ELSE now() END,
       approved_digest = EXCLUDED.approved_digest,
       approved_at = CASE WHEN t.approved_digest IS DISTINCT FROM EXCLUDED.approved_digest THEN now() ELSE t.approved_at END,
       approved_by = CASE WHEN t.approved_digest IS DISTINCT FROM EXCLUDED.approved_digest THEN NULL ELSE t.approved_by END`,
    [...values, each],
  );
  await tx.query(
    `INSERT INTO mcp.tool_events (server, name, type, before, after, state, findings)
     SELECT $1, name, event, before, digest, state, jsonb_array_length(findings) ${from} WHERE event IS NOT NULL ORDER BY name`,
    values,
  );
}

/** Notes that a server lists these tools no more. */
export async function markGone(tx: Queryable, server: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await tx.query(
    `WITH gone AS (
       UPDATE mcp.tools SET state = 'gone', reason = NULL, changed_at = now()
       WHERE server = $1 AND name = ANY($2) AND state <> 'gone' RETURNING name, digest)
     INSERT INTO mcp.tool_events (server, name, type, before, state) SELECT $1, name, 'gone', digest, 'gone' FROM gone`,
    [server, names],
  );
}

/**
 * Approves the form in which each tool is held now.
 * @param tools with the digest that whoever approves has seen: one that was changed since is left as it is
 * @returns names of those that were approved
 */
export async function approveTools(
  tx: Queryable,
  server: string,
  tools: readonly { readonly name: string; readonly digest: string }[],
  actor: string,
): Promise<string[]> {
  const rows = await tx.query<{ name: string }>(
    `WITH approved AS (
       UPDATE mcp.tools t SET state = 'approved', reason = NULL, approved_digest = t.digest, approved_at = now(), approved_by = $3
       FROM jsonb_to_recordset($2::jsonb) AS w (name text, digest text), mcp.tools was
       WHERE t.server = $1 AND t.name = w.name AND t.digest = w.digest AND t.state = 'held' AND t.reason <> 'invalid'
         AND was.server = t.server AND was.name = t.name AND was.form = t.form
       RETURNING t.name, t.digest, was.approved_digest AS before)
     INSERT INTO mcp.tool_events (server, name, type, before, after, state, actor_id)
     SELECT $1, name, 'approved', before, digest, 'approved', $3 FROM approved ORDER BY name RETURNING name`,
    [server, JSON.stringify(tools), actor],
  );
  return rows.map(({ name }) => name);
}

/** What came of asking a server for its tools. */
export interface ToolList {
  readonly server: string;
  /** The run that was asked; absent when a list that passed was learnt from. */
  readonly instanceId: string | undefined;
  readonly error: string | undefined;
  /** Milliseconds since the epoch. */
  readonly listedAt: number;
}

export async function readToolLists(connection: Queryable, server?: string): Promise<ToolList[]> {
  const rows = await connection.query<{
    server: string;
    instance_id: string | null;
    error: string | null;
    listed_at: Date;
  }>('SELECT server, instance_id, error, listed_at FROM mcp.tool_lists WHERE $1::text IS NULL OR server = $1', [
    server ?? null,
  ]);
  return rows.map((row) => ({
    server: row.server,
    instanceId: row.instance_id ?? undefined,
    error: row.error ?? undefined,
    listedAt: row.listed_at.getTime(),
  }));
}

/** @param tools how many it listed; left as it was when it could not be asked */
export async function writeToolList(
  tx: Queryable,
  list: {
    readonly server: string;
    readonly instanceId?: string | undefined;
    readonly tools?: number;
    readonly error?: string;
  },
): Promise<void> {
  await tx.query(
    `INSERT INTO mcp.tool_lists AS l (server, instance_id, tools, error) VALUES ($1, $2, coalesce($3, 0), $4)
     ON CONFLICT (server) DO UPDATE SET instance_id = coalesce($2, l.instance_id), tools = coalesce($3, l.tools), error = $4,
       listed_at = now()`,
    [list.server, list.instanceId ?? null, list.tools ?? null, list.error?.slice(0, 2000) ?? null],
  );
}

/** What happened to the tools of a server, the newest first. */
export function readToolEvents(connection: Queryable, server: string, limit: number): Promise<ToolEventsRow[]> {
  return connection.query<ToolEventsRow>('SELECT * FROM mcp.tool_events WHERE server = $1 ORDER BY id DESC LIMIT $2', [
    server,
    limit,
  ]);
}

function toRecord(row: Row): ToolRecord {
  return {
    server: row.server,
    name: row.name,
    form: row.form,
    digest: row.digest,
    definition: row.definition as RawTool,
    state: row.state,
    reason: row.reason ?? undefined,
    approvedDigest: row.approved_digest ?? undefined,
    findings: row.findings,
    scannedBy: row.scanned_by,
    approvedAt: row.approved_at ?? undefined,
    approvedBy: row.approved_by ?? undefined,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    changedAt: row.changed_at,
  };
}
