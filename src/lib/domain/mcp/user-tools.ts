import type { Queryable } from '../../infra/database/connection.ts';

/** What a user's own list of a server's tools had last. */
export interface UserToolList {
  /** Digests by name. */
  readonly tools: ReadonlyMap<string, string>;
  /** The run of the server that was asked; absent when a list that passed was learnt from. */
  readonly instanceId: string | undefined;
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
