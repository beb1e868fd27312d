import type { Queryable } from '../../infra/database/connection.ts';

/** What a user's own list of a server's tools had last. */
export interface UserToolList {
  /** Digests by name; `refusedForm` for one that is not on record. */
  readonly tools: ReadonlyMap<string, string>;
  /** The run of the server that was asked; absent when a list that passed was learnt from. */
  readonly instanceId: string | undefined;
}

/** In a user's list, in the place of the digest of a form that is not taken, because the tool has as many as it may. */
export const refusedForm = 'refused';

/** How many forms of a tool that somebody approved stay on record while no list has them. */
const keptForms = 20;

/** A form of a tool that is on record no more. */
export interface EndedForm {
  readonly name: string;
  readonly digest: string;
  readonly approvedDigest: string | null;
}

/**
 * Takes forms from the record that no user's list has: all but the last ones of each tool that somebody approved.
 * @param names of the tools to look at
 */
export async function endForms(tx: Queryable, server: string, names: readonly string[]): Promise<EndedForm[]> {
  if (names.length === 0) return [];
  return await tx.query<EndedForm>(
    `WITH listed AS (
       SELECT one.key AS name, one.value AS digest FROM mcp.user_tools u, jsonb_each_text(u.tools) AS one
       WHERE u.server = $1 AND one.key = ANY($2)
     ), unlisted AS (
       SELECT t.name, t.form, t.approved_by IS NOT NULL AND t.approved_digest = t.digest AS approved,
         row_number() OVER (PARTITION BY t.name, t.approved_by IS NOT NULL ORDER BY t.approved_at DESC) AS rank
       FROM mcp.tools t WHERE t.server = $1 AND t.name = ANY($2) AND t.form <> ''
         AND NOT EXISTS (SELECT FROM listed l WHERE l.name = t.name AND l.digest = t.digest)
     )
     DELETE FROM mcp.tools t USING unlisted u
     WHERE t.server = $1 AND t.name = u.name AND t.form = u.form AND NOT (u.approved AND u.rank <= $3)
     RETURNING t.name, t.digest, t.approved_digest AS "approvedDigest"`,
    [server, names, keptForms],
  );
}

/** Erases what forms said that ended, unless another one was changed from it. */
export async function eraseForms(tx: Queryable, server: string, ended: readonly EndedForm[]): Promise<void> {
  if (ended.length === 0) return;
  await tx.query(
    `DELETE FROM mcp.tool_definitions d USING jsonb_to_recordset($2::jsonb) AS e (name text, digest text, "approvedDigest" text)
     WHERE d.server = $1 AND d.name = e.name AND d.digest IN (e.digest, e."approvedDigest")
       AND NOT EXISTS (SELECT FROM mcp.tools t WHERE t.server = d.server AND t.name = d.name
         AND d.digest IN (t.digest, t.approved_digest))`,
    [server, JSON.stringify(ended)],
  );
}

/** @returns nothing while no list of the user was seen. @throws DatabaseUnavailableError */
export async function readUserTools(
  connection: Queryable,
  server: string,
  userId: string,
): Promise<UserToolList | undefined> {
  const [row] = await connection.query<{ tools: Record<string, string>; instance_id: string | null }>(
    'SELECT tools, instance_id FROM mcp.user_tools WHERE user_id = $1 AND server = $2',
    [userId, server],
  );
  return row && { tools: new Map(Object.entries(row.tools)), instanceId: row.instance_id ?? undefined };
}

/** Replaces a user's list. An account that is gone has none. @throws DatabaseUnavailableError */
export async function writeUserTools(
  tx: Queryable,
  server: string,
  userId: string,
  { tools, instanceId }: UserToolList,
): Promise<void> {
  await tx.query(
    `INSERT INTO mcp.user_tools (user_id, server, tools, instance_id) SELECT id, $2, $3, $4 FROM users WHERE id = $1
     ON CONFLICT (user_id, server) DO UPDATE SET tools = EXCLUDED.tools, instance_id = EXCLUDED.instance_id, listed_at = now()`,
    [userId, server, JSON.stringify(Object.fromEntries(tools)), instanceId ?? null],
  );
}
