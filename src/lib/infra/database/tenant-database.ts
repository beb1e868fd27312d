import type { ConnectionConfig } from './connection-config.ts';
import { reasonOf } from './errors.ts';
import { quoteIdentifier as id } from './identifiers.ts';
import { databaseRoles, loginRole } from './roles.ts';
import { type Session, withSession } from './session.ts';

const applicationName = 'systemprompt tenant';

/**
 * Whether a database is there, and whether an installation has it already: then its roles are.
 * @param admin signs in to its own database, or to `postgres` when that is missing
 * @throws DatabaseUnavailableError
 */
export function lookAtDatabase(
  admin: ConnectionConfig,
  database: string,
): Promise<{ exists: boolean; taken: boolean }> {
  return beside(admin, async (session) => {
    const [row] = await session.query<{ exists: boolean; taken: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS exists,
              EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $2) AS taken`,
      [database, loginRole(database, 'owner')],
    );
    return { exists: row?.exists === true, taken: row?.taken === true };
  });
}

/**
 * Drops a database that was made for a tenant, with the roles that belong to it alone. Connections that are open are cut.
 * Nothing of it needs to be there.
 * @throws DatabaseUnavailableError; PreconditionError for a missing right
 */
export async function dropTenantDatabase(admin: ConnectionConfig, database: string): Promise<void> {
  await withSession({ ...admin, database: 'postgres' }, { applicationName }, async (session) => {
    // Who was let in: that names the roles of MCP servers too, which may be shortened.
    const admitted = await session.query<{ role: string }>(
      `SELECT DISTINCT rolname AS role FROM pg_database, aclexplode(datacl) AS a JOIN pg_roles r ON r.oid = a.grantee
        WHERE datname = $1 AND starts_with(rolname, 'sp_') AND rolname <> current_user`,
      [database],
    );
    await session.query(`DROP DATABASE IF EXISTS ${id(database)} WITH (FORCE)`);
    const own = databaseRoles.map((role) => loginRole(database, role));
    // The names of another database (`x_mcp_y` beside `x`) may begin just so: what any other lets in, or belongs to, is not ours.
    const roles = await session.query<{ role: string }>(
      `SELECT rolname AS role FROM pg_roles r
        WHERE (rolname = ANY ($1) OR starts_with(rolname, $2))
          AND NOT EXISTS (SELECT 1 FROM pg_database d
                           WHERE d.datname <> $3
                             AND (d.datdba = r.oid OR r.oid IN (SELECT grantee FROM aclexplode(d.datacl))))
        ORDER BY rolname`,
      [[...own, ...admitted.map(({ role }) => role)], `sp_${database}_mcp_`, database],
    );
    for (const { role } of roles) await session.query(`DROP ROLE ${id(role)}`);
  });
}

async function beside<T>(admin: ConnectionConfig, work: (session: Session) => Promise<T>): Promise<T> {
  try {
    return await withSession(admin, { applicationName }, work);
  } catch (error) {
    if (reasonOf(error) !== 'no_database') throw error;
    return await withSession({ ...admin, database: 'postgres' }, { applicationName }, work);
  }
}
