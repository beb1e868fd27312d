import { PreconditionError } from '../../shared/errors.ts';
import { quoteIdentifier as id, quoteLiteral } from './identifiers.ts';
import { matchesVerifier, scramVerifier } from './scram.ts';
import type { Session } from './session.ts';

/** A role that signs in to one database. */
export interface RoleWish {
  readonly name: string;
  readonly database: string;
  readonly password: string;
  /** As SQL: quoted names, separated by commas. */
  readonly searchPath: string;
  readonly group?: string;
  readonly connectionLimit?: number;
}

interface RoleRow {
  login: boolean;
  powers: string[];
  limit: number;
  settings: string[] | null;
  groups: string[];
  verifier: string | null;
}

/** Creates the role or brings it to what is wished; writes nothing when it is so already. */
export async function ensureLoginRole(session: Session, wish: RoleWish, superuser: boolean): Promise<void> {
  const limit = wish.connectionLimit ?? -1;
  let row = await readRole(session, wish, superuser);
  if (row === undefined) {
    // PostgreSQL's defaults: NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION. Naming them here would need
    // rights that an ordinary administrator lacks.
    const verifier = await scramVerifier(wish.password);
    await session.query(
      `CREATE ROLE ${id(wish.name)} LOGIN CONNECTION LIMIT ${limit} PASSWORD ${quoteLiteral(verifier)}`,
    );
    row = { login: true, powers: [], limit, settings: null, groups: [], verifier };
  }
  if (row.powers.length > 0) {
    throw new PreconditionError(
      `Role ${wish.name} exists and has more power than it may have: ${row.powers.join(', ')}.`,
      {
        hint: `An administrator takes it away: ALTER ROLE ${id(wish.name)} ${row.powers.map((power) => `NO${power}`).join(' ')};`,
      },
    );
  }
  if (!row.login || row.limit !== limit)
    await session.query(`ALTER ROLE ${id(wish.name)} LOGIN CONNECTION LIMIT ${limit}`);
  if (row.verifier === null || !(await matchesVerifier(wish.password, row.verifier))) {
    const verifier = await scramVerifier(wish.password);
    await session.query(`ALTER ROLE ${id(wish.name)} PASSWORD ${quoteLiteral(verifier)}`);
  }
  if (wish.group !== undefined && !row.groups.includes(wish.group)) {
    await session.query(`GRANT ${id(wish.group)} TO ${id(wish.name)}`);
  }
  if (row.settings?.includes(`search_path=${wish.searchPath}`) !== true) {
    await session.query(
      `ALTER ROLE ${id(wish.name)} IN DATABASE ${id(wish.database)} SET search_path = ${wish.searchPath}`,
    );
  }
}

async function readRole(session: Session, wish: RoleWish, superuser: boolean): Promise<RoleRow | undefined> {
  // Only a superuser may read the verifiers; anybody else sets the password each time.
  const [row] = await session.query<RoleRow>(
    `SELECT rolcanlogin AS login, rolconnlimit AS "limit",
            array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
                               CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                               CASE WHEN rolreplication THEN 'REPLICATION' END], NULL) AS powers,
            (SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
              WHERE s.setrole = r.oid AND d.datname = $2) AS settings,
            ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                   WHERE m.member = r.oid) AS groups,
            ${superuser ? '(SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid)' : 'NULL'} AS verifier
       FROM pg_roles r WHERE rolname = $1`,
    [wish.name, wish.database],
  );
  return row;
}
