import { setTimeout as delay } from 'node:timers/promises';
import { PreconditionError } from '../../shared/errors.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { reasonOf, sqlState } from './errors.ts';
import { quoteIdentifier as id } from './identifiers.ts';
import { type LockOptions, takeLock } from './locks.ts';
import { missingRight, requireRights } from './provision-rights.ts';
import { ensureLoginRole, type RoleWish } from './provision-roles.ts';
import {
  appGroup,
  auditGroup,
  type DatabaseRole,
  databaseRoles,
  loginRole,
  mcpRole,
  mcpSchema,
  migrationsSchema,
  readerGroup,
  sealerGroup,
} from './roles.ts';
import { type Session, withSession } from './session.ts';

export interface ProvisionRequest {
  /** The database to make ready; created when it is missing. */
  readonly database: string;
  readonly passwords: Readonly<Record<DatabaseRole, string>>;
  /** Whether the whole server is the instance's: then its own databases are closed to all but superusers as well. */
  readonly closeServer?: boolean;
  /** How long to wait for somebody else's lock, in ms; 15 s unless told. */
  readonly lockWaitMs?: number;
  /** How long to wait for a server that does not answer yet, in ms. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** Serialises those who provision over the same maintenance database; any number that nobody else uses. */
const LOCK_KEY = 7_365_112_900_431;
const ATTEMPTS = 12;
/** Who uses tables of the schema `public`. */
const usersOfPublic = [appGroup, sealerGroup, readerGroup];
/** What every new server lets everybody into, beside the databases that are made. */
const serversOwn = ['postgres', 'template1'];

/**
 * What two who provision at once run into (PostgreSQL manual, appendix A): duplicate key of a catalog, duplicate object,
 * database or schema, "tuple concurrently updated" (XX000), deadlock, database in use. All of it is gone at the next try.
 */
const collisions = new Set(['23505', '42710', '42P04', '42P06', 'XX000', '40P01', '55006']);

/**
 * Makes a server ready for one instance: the group roles, the roles that sign in, the database, which only they may
 * enter, and its schemas. Changes nothing when all is there; any number may run it at once.
 * @throws TimeoutError naming who holds the lock when somebody else does for too long
 * @param admin a superuser, or a role with CREATEROLE that owns the database (or may create it)
 * @throws PreconditionError naming the missing right and the SQL that grants it; DatabaseUnavailableError
 */
export async function provision(admin: ConnectionConfig, request: ProvisionRequest): Promise<void> {
  const options = {
    applicationName: 'systemprompt provision',
    ...(request.waitMs === undefined ? {} : { waitMs: request.waitMs }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  };
  const { database } = request;
  const lockOptions = lockOptionsOf(request.lockWaitMs);
  const prepare = (from: ConnectionConfig) =>
    repeated(from, () =>
      withSession(from, options, async (session) => {
        await takeLock(session, { advisory: LOCK_KEY }, lockOptions);
        const rights = await requireRights(session, database);
        for (const group of [appGroup, auditGroup, sealerGroup, readerGroup]) await ensureGroup(session, group);
        if (!rights.databaseExists) {
          await session.query(`CREATE DATABASE ${id(database)} TEMPLATE template0 ENCODING 'UTF8'`);
        }
        if (request.closeServer === true) await closeServer(session);
        for (const role of databaseRoles) await ensureLoginRole(session, wishFor(request, role), rights.superuser);
      }),
    );
  await prepare(admin).catch((error: unknown) => {
    if (reasonOf(error) !== 'no_database') throw error;
    return prepare({ ...admin, database: 'postgres' }); // every server has it, to make others from
  });
  await repeated(admin, () =>
    withSession({ ...admin, database }, options, async (session) => {
      await takeLock(session, { advisory: LOCK_KEY }, lockOptions);
      await closeDatabase(session, database);
    }),
  );
  const owner = { ...admin, database, user: loginRole(database, 'owner'), password: request.passwords.owner };
  await repeated(owner, () => withSession(owner, options, ensureSchemas));
}

/**
 * Makes the role and the schema of one MCP server: it owns that schema, and nothing else is open to it.
 * @returns the names of both
 */
export async function provisionMcp(
  admin: ConnectionConfig,
  request: { readonly database: string; readonly server: string; readonly password: string },
): Promise<{ role: string; schema: string }> {
  const role = mcpRole(request.database, request.server);
  const schema = mcpSchema(request.server);
  const target = { ...admin, database: request.database };
  const lockOptions = lockOptionsOf(undefined);
  await repeated(target, () =>
    withSession(target, { applicationName: 'systemprompt provision' }, async (session) => {
      await takeLock(session, { advisory: LOCK_KEY }, lockOptions);
      const { superuser } = await requireRights(session, request.database);
      const wish: RoleWish = {
        name: role,
        database: request.database,
        password: request.password,
        searchPath: id(schema),
        // One server must not be able to take every connection there is.
        connectionLimit: 20,
      };
      await ensureLoginRole(session, wish, superuser);
      await grantConnect(session, request.database, role);
      const [existing] = await session.query<{ owner: string }>(
        'SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = $1',
        [schema],
      );
      if (existing?.owner === role) return;
      if (existing !== undefined) {
        throw new PreconditionError(`Schema ${schema} belongs to ${existing.owner}, not to ${role}.`, {
          hint: `An administrator can hand it over: ALTER SCHEMA ${id(schema)} OWNER TO ${id(role)};`,
        });
      }
      // To give a schema to a role one must be able to act as it (manual, CREATE SCHEMA).
      if (!superuser) await session.query(`GRANT ${id(role)} TO CURRENT_USER`);
      await session.query(`CREATE SCHEMA ${id(schema)} AUTHORIZATION ${id(role)}`);
    }),
  );
  return { role, schema };
}

function lockOptionsOf(waitMs: number | undefined): LockOptions {
  return { purpose: 'Making the database ready', ...(waitMs === undefined ? {} : { waitMs }) };
}

function wishFor(request: ProvisionRequest, role: DatabaseRole): RoleWish {
  const group = { owner: undefined, app: appGroup, audit: auditGroup, sealer: sealerGroup, reader: readerGroup }[role];
  return {
    name: loginRole(request.database, role),
    database: request.database,
    password: request.passwords[role],
    searchPath: role === 'audit' ? 'audit' : 'public',
    ...(group === undefined ? {} : { group }),
  };
}

async function ensureGroup(session: Session, group: string): Promise<void> {
  const [row] = await session.query<{ login: boolean }>(
    'SELECT rolcanlogin AS login FROM pg_roles WHERE rolname = $1',
    [group],
  );
  if (row === undefined) await session.query(`CREATE ROLE ${id(group)} NOLOGIN`);
}

async function grantConnect(session: Session, database: string, role: string): Promise<void> {
  const [row] = await session.query<{ may: boolean }>("SELECT has_database_privilege($1, $2, 'CONNECT') AS may", [
    role,
    database,
  ]);
  if (row?.may !== true) await session.query(`GRANT CONNECT ON DATABASE ${id(database)} TO ${id(role)}`);
}

/** Takes from everybody what PostgreSQL gives everybody, and gives our roles what they need. */
async function closeDatabase(session: Session, database: string): Promise<void> {
  const owner = loginRole(database, 'owner');
  const isOpen = async () => {
    const [row] = await session.query<{ open: boolean }>(
      `SELECT has_database_privilege('public', $1, 'CONNECT') OR has_database_privilege('public', $1, 'TEMPORARY')
                OR has_schema_privilege('public', 'public', 'USAGE') AS open`,
      [database],
    );
    return row?.open !== false;
  };
  if (await isOpen()) {
    await session.query(`REVOKE ALL ON DATABASE ${id(database)} FROM PUBLIC`);
    await session.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
    // Whoever does not own it gets a warning and no effect.
    if (await isOpen()) throw missingRight('the ownership of the database', ownerSql(session, database));
  }
  const [has] = await session.query<{ owner: boolean; groups: boolean }>(
    `SELECT has_database_privilege($2, $1, 'CREATE') AND has_schema_privilege($2, 'public', 'CREATE') AS owner,
            (SELECT bool_and(has_schema_privilege(g, 'public', 'USAGE')) FROM unnest($3::name[]) g) AS groups`,
    [database, owner, usersOfPublic],
  );
  if (has?.owner !== true) {
    await session.query(`GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${id(database)} TO ${id(owner)}`);
    await session.query(`GRANT USAGE, CREATE ON SCHEMA public TO ${id(owner)}`);
  }
  for (const role of databaseRoles) {
    if (role !== 'owner') await grantConnect(session, database, loginRole(database, role));
  }
  if (has?.groups !== true) await session.query(`GRANT USAGE ON SCHEMA public TO ${usersOfPublic.map(id).join(', ')}`);
}

/** Nobody but a superuser has business in the server's own databases, where no right of ours holds. */
async function closeServer(session: Session): Promise<void> {
  const open = await session.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname = ANY ($1)
        AND (has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMPORARY'))`,
    [serversOwn],
  );
  for (const { name } of open) await session.query(`REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC`);
}

function ownerSql(session: Session, database: string): string {
  return `ALTER DATABASE ${id(database)} OWNER TO ${id(session.client.user ?? '')};`;
}

/** What the owner role sets up for its migrations; functions are open to nobody until a migration grants them. */
async function ensureSchemas(session: Session): Promise<void> {
  const [existing] = await session.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [migrationsSchema]);
  if (existing !== undefined) return;
  await session.query(`BEGIN;
    CREATE SCHEMA ${id(migrationsSchema)};
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    COMMIT;`);
}

async function repeated(config: ConnectionConfig, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const state = sqlState(error);
      if (state === '42501') throw missingRight(`a right: ${(error as Error).message}`, undefined, config, error);
      if (attempt === ATTEMPTS || state === undefined || !collisions.has(state)) throw error;
      await delay(10 * attempt + Math.random() * 20);
    }
  }
}
