import { PreconditionError } from '../../shared/errors.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { quoteIdentifier as id } from './identifiers.ts';
import { appGroup, auditGroup, readerGroup, sealerGroup } from './roles.ts';
import type { Session } from './session.ts';

/** The oldest PostgreSQL whose schema `public` is closed to writers and owned by the database's owner. */
const OLDEST_MAJOR = 15;

export interface Rights {
  readonly superuser: boolean;
  readonly databaseExists: boolean;
}

interface RightsRow {
  user: string;
  version: number;
  superuser: boolean;
  createrole: boolean;
  createdb: boolean;
  database: boolean;
  owns: boolean | null;
  groups: string[];
}

/**
 * Whether the role that is signed in can make roles and close the database.
 * @throws PreconditionError naming the missing right and the SQL that an administrator runs
 */
export async function requireRights(session: Session, database: string): Promise<Rights> {
  const [row] = await session.query<RightsRow>(
    `SELECT current_user AS "user", current_setting('server_version_num')::int / 10000 AS version,
            rolsuper AS superuser, rolcreaterole AS createrole, rolcreatedb AS createdb,
            EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS database,
            (SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = $1) AS owns,
            ARRAY(SELECT g.rolname::text FROM pg_roles g WHERE g.rolname = ANY ($2)
                  AND NOT pg_has_role(current_user, g.oid, 'MEMBER WITH ADMIN OPTION')) AS groups
       FROM pg_roles WHERE rolname = current_user`,
    [database, [appGroup, auditGroup, sealerGroup, readerGroup]],
  );
  if (row === undefined) throw new PreconditionError('The role that is signed in does not exist any more.');
  if (row.version < OLDEST_MAJOR) {
    throw new PreconditionError(`PostgreSQL ${row.version} is too old.`, {
      hint: `Use PostgreSQL ${OLDEST_MAJOR} or newer.`,
    });
  }
  if (!row.superuser) requireForOrdinary(row, database);
  return { superuser: row.superuser, databaseExists: row.database };
}

function requireForOrdinary(row: RightsRow, database: string): void {
  const user = id(row.user);
  const missing: string[] = [];
  const sql: string[] = [];
  if (!row.createrole) {
    missing.push('CREATEROLE');
    sql.push(`ALTER ROLE ${user} CREATEROLE;`);
  }
  if (row.owns === false) {
    missing.push(`the ownership of database ${database}`);
    sql.push(`ALTER DATABASE ${id(database)} OWNER TO ${user};`);
  }
  if (!row.database && !row.createdb) {
    missing.push(`CREATEDB (there is no database ${database})`);
    sql.push(`CREATE DATABASE ${id(database)} OWNER ${user};`);
  }
  if (row.groups.length > 0) {
    missing.push(`the administration of ${row.groups.join(', ')}`);
    sql.push(`GRANT ${row.groups.map(id).join(', ')} TO ${user} WITH ADMIN OPTION;`);
  }
  if (missing.length > 0) throw missingRight(missing.join(', '), sql.join(' '), { user: row.user });
}

/** The one error for a right that the configured role lacks; `data.sql` is what an administrator runs. */
export function missingRight(
  right: string,
  sql: string | undefined,
  config?: Pick<ConnectionConfig, 'user'>,
  cause?: unknown,
): PreconditionError {
  const who = config === undefined ? 'The database role of the profile' : `Database role ${config.user}`;
  return new PreconditionError(`${who} lacks ${right}.`, {
    hint:
      sql === undefined
        ? 'Name a role in database.url that owns the database and may create roles.'
        : `An administrator of the server runs: ${sql}`,
    data: sql === undefined ? {} : { sql },
    ...(cause === undefined ? {} : { cause }),
  });
}
