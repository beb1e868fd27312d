import { quoteIdentifier as id } from '../../infra/database/identifiers.ts';
import { loginRole, mcpSchema, shortPrefix } from '../../infra/database/roles.ts';
import type { Session } from '../../infra/database/session.ts';

/** Who owns what of a database: the core, and each MCP server its own schema. */
export interface Owners {
  /** Role of the core. */
  readonly core: string;
  /** The schemas of MCP servers that there are. */
  readonly servers: readonly ServerSchema[];
}

export interface ServerSchema {
  readonly schema: string;
  readonly role: string;
  readonly server: string;
}

/** @param secretNames of the instance: each MCP server has one of its own, which tells its name */
export async function ownersOf(session: Session, database: string, secretNames: readonly string[]): Promise<Owners> {
  const rows = await session.query<{ schema: string; role: string }>(
    `SELECT nspname AS schema, pg_get_userbyid(nspowner) AS role FROM pg_namespace
      WHERE starts_with(nspname, 'mcp_') AND starts_with(pg_get_userbyid(nspowner), $1) ORDER BY 1`,
    [shortPrefix(database)],
  );
  const known = new Map(
    secretNames.flatMap((name) => {
      const server = /^database\.mcp\.(.+)$/.exec(name)?.[1];
      return server === undefined ? [] : [[mcpSchema(server), server] as const];
    }),
  );
  return {
    core: loginRole(database, 'owner'),
    servers: rows.map(({ schema, role }) => ({
      schema,
      role,
      // A name that is too long for a schema is cut there; without its secret the rest of it is not known.
      server: known.get(schema) ?? schema.slice('mcp_'.length),
    })),
  };
}

/** Lets the role that is signed in act as the owners; a superuser may anyway. */
export async function becomeMember(session: Session, owners: Owners): Promise<void> {
  const roles = [owners.core, ...owners.servers.map(({ role }) => role)];
  const missing = await session.query<{ role: string }>(
    "SELECT rolname AS role FROM pg_roles WHERE rolname = ANY ($1) AND NOT pg_has_role(current_user, oid, 'MEMBER')",
    [roles],
  );
  for (const { role } of missing) await session.query(`GRANT ${id(role)} TO CURRENT_USER`);
}

/** From here on, until the transaction ends, the session acts as that role and finds names in that schema first. */
export async function actAs(session: Session, role: string, schema: string): Promise<void> {
  await session.query(`SET LOCAL ROLE ${id(role)}`);
  await session.query(`SET LOCAL search_path = ${id(schema)}`);
}
