import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { type ConnectionConfig, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { parseConnectionUrl, toConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';
import { quoteIdentifier as id } from '../../../../src/lib/infra/database/identifiers.ts';
import { provision, provisionMcp } from '../../../../src/lib/infra/database/provision.ts';
import { loginRole } from '../../../../src/lib/infra/database/roles.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { startThrowAwayCluster } from '../../../helpers/throw-away-cluster.ts';

const run = (config: ConnectionConfig, sql: string) => withSession(config, {}, (session) => session.query(sql));
const denied = { code: '42501' };

describe('roles of a migrated database', () => {
  let database: TestDatabase;
  let other: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase({ fresh: true });
    other = await createTestDatabase({ migrated: false });
  });
  afterAll(async () => {
    await database.drop();
    await other.drop();
  });

  test('each signs in and has no power over the server', async () => {
    for (const role of ['owner', 'app', 'audit', 'sealer', 'reader'] as const) {
      const [row] = await run(
        database[role],
        'SELECT current_user AS "user", rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication AS power FROM pg_roles WHERE rolname = current_user',
      );
      expect(row).toEqual({ user: `sp_${database.name}_${role}`, power: false });
    }
  });

  test('the group roles are no sign-ins', async () => {
    expect(
      await run(
        database.admin,
        "SELECT rolname FROM pg_roles WHERE rolname IN ('systemprompt_app', 'systemprompt_audit', 'systemprompt_sealer', 'systemprompt_reader') AND NOT rolcanlogin ORDER BY 1",
      ),
    ).toEqual([
      { rolname: 'systemprompt_app' },
      { rolname: 'systemprompt_audit' },
      { rolname: 'systemprompt_reader' },
      { rolname: 'systemprompt_sealer' },
    ]);
  });

  test('the app reads the audit and can neither add to it nor change it', async () => {
    await run(database.app, 'SELECT * FROM audit.tool_intents');
    for (const sql of [
      "INSERT INTO audit.tool_outcomes (execution_id, status) VALUES (gen_random_uuid(), 'success')",
      "UPDATE audit.tool_outcomes SET error = ''",
      'DELETE FROM audit.tool_intents',
      'TRUNCATE audit.tool_intents',
    ]) {
      await expect(run(database.app, sql), sql).rejects.toMatchObject(denied);
    }
  });

  test('the reader sees every table and no secret, and changes nothing', async () => {
    // Who adds a table decides what of it people may look at: GRANT SELECT … TO systemprompt_reader in its migration.
    const columns = (await run(
      database.reader,
      `SELECT format('%s.%s.%s', n.nspname, c.relname, a.attname) AS name,
              has_column_privilege(c.oid, a.attnum, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AS may,
              has_any_column_privilege(c.oid, 'SELECT') AS some
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema$|systemprompt_migrations$)'`,
    )) as { name: string; may: boolean; some: boolean }[];
    expect(columns.length).toBeGreaterThan(50);
    expect(columns.filter(({ some }) => !some).map(({ name }) => name)).toEqual([]);
    const secret = /(jwe|secret|sealed|cipher|password|private|token|hash)/;
    // A time; digests of programs and configuration: none of what they are made of can be found from them.
    const harmless = ['audit.segments.sealed_at', 'public.services.artefact_hash', 'public.services.config_hash'];
    const shown = columns.filter(({ name, may }) => may && secret.test(name.split('.').at(-1) ?? ''));
    expect(shown.map(({ name }) => name).sort()).toEqual(harmless);
    await run(database.reader, 'SELECT kid, public_jwk FROM signing_keys');
    for (const sql of [
      'SELECT private_jwe FROM signing_keys',
      'SELECT * FROM signing_keys',
      'DELETE FROM users',
      'CREATE TABLE public.mine ()',
      'CREATE TEMPORARY TABLE mine ()',
      'SET ROLE systemprompt_app',
    ]) {
      await expect(run(database.reader, sql), sql).rejects.toMatchObject(denied);
    }
  });

  test('the audit writer adds and can neither read, change nor look elsewhere', async () => {
    await run(
      database.audit,
      "INSERT INTO audit.tool_outcomes (execution_id, status) VALUES (gen_random_uuid(), 'success')",
    );
    for (const sql of [
      'SELECT * FROM audit.tool_intents',
      'SELECT error FROM audit.tool_outcomes',
      "UPDATE audit.tool_outcomes SET error = ''",
      'DELETE FROM audit.tool_outcomes',
      'SELECT * FROM public.users',
    ]) {
      await expect(run(database.audit, sql), sql).rejects.toMatchObject(denied);
    }
  });

  test('neither makes tables, schemas or roles, nor reads how far the migrations are', async () => {
    for (const role of ['app', 'audit'] as const) {
      for (const sql of [
        'CREATE TABLE public.mine ()',
        'CREATE TABLE audit.mine ()',
        'CREATE SCHEMA mine',
        'CREATE TEMPORARY TABLE mine ()',
        'CREATE ROLE mine',
        'SELECT * FROM systemprompt_migrations.users',
      ]) {
        await expect(run(database[role], sql), `${role}: ${sql}`).rejects.toMatchObject(denied);
      }
    }
  });

  test("the roles of one database can't enter another", async () => {
    for (const role of ['owner', 'app', 'audit'] as const) {
      await expect(run({ ...database[role], database: other.name }, 'SELECT 1')).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
        data: { reason: 'no_right' },
      });
    }
  });

  test('a function is open to nobody until a migration grants it', async () => {
    await run(database.owner, "CREATE FUNCTION public.secret_of_the_house() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    await expect(run(database.app, 'SELECT public.secret_of_the_house()')).rejects.toMatchObject(denied);
  });

  describe('an MCP server', () => {
    let server: ConnectionConfig;
    beforeAll(async () => {
      const password = randomBytes(12).toString('base64url');
      const names = await provisionMcp(database.admin, {
        database: database.name,
        server: 'content-manager',
        password,
      });
      expect(names).toEqual({ role: `sp_${database.name}_mcp_content-manager`, schema: 'mcp_content-manager' });
      server = { ...database.app, user: names.role, password };
      await provisionMcp(database.admin, { database: database.name, server: 'other', password: 'x' });
    });

    test('owns its schema, where its tables go by themselves', async () => {
      await run(server, 'CREATE TABLE notes AS SELECT 7 AS n');
      expect(await run(server, 'SELECT n FROM "mcp_content-manager".notes')).toEqual([{ n: 7 }]);
    });

    test('sees nothing else: no table of ours, no other schema, no other server, no other database', async () => {
      for (const sql of [
        'SELECT * FROM public.users',
        'SELECT * FROM audit.tool_intents',
        'CREATE TABLE public.mine ()',
        'CREATE TABLE mcp_other.mine ()',
        'CREATE SCHEMA mine',
        'SET ROLE systemprompt_app',
        'CREATE TEMPORARY TABLE mine ()',
      ]) {
        await expect(run(server, sql), sql).rejects.toMatchObject(denied);
      }
      for (const name of [other.name, 'postgres', 'template1']) {
        const attempt = run({ ...server, database: name }, 'CREATE TABLE mine ()');
        await expect(attempt, name).rejects.toMatchObject({
          code: expect.stringMatching(/^(42501|DATABASE_UNAVAILABLE)$/),
        });
      }
    });

    test('reaches it by the URL that it is given', async () => {
      const url = toConnectionUrl({ ...server, host: '127.0.0.1' });
      expect(await run(parseConnectionUrl(url), 'SELECT current_user AS "user"')).toEqual([{ user: server.user }]);
    });

    test('is provisioned twice without a change, also at once', async () => {
      const again = () =>
        provisionMcp(database.admin, { database: database.name, server: 'content-manager', password: server.password });
      await Promise.all([again(), again(), again()]);
      await run(server, 'SELECT 1');
    });
  });
});

describe('provisioning', () => {
  const names: string[] = [];
  const newName = () => {
    const name = `t_${randomBytes(6).toString('hex')}`;
    names.push(name);
    return name;
  };
  const passwords = { owner: 'owner-pw', app: 'app-pw', audit: 'audit-pw', sealer: 'sealer-pw', reader: 'reader-pw' };
  afterEach(async () => {
    const admin = inject('postgres');
    for (const name of names.splice(0)) {
      await run(admin, `DROP DATABASE IF EXISTS ${id(name)} WITH (FORCE)`);
      const roles = await withSession(admin, {}, (session) =>
        session.query<{ rolname: string }>('SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)', [
          `sp_${name}_`,
        ]),
      );
      for (const { rolname } of roles) await run(admin, `DROP ROLE ${id(rolname)}`);
    }
  });

  test('a second run changes nothing: no row of a shared catalog is written', async () => {
    const admin = inject('postgres');
    const name = newName();
    await provision(admin, { database: name, passwords });
    const snapshot = () =>
      run(
        { ...admin, database: name },
        `SELECT (SELECT jsonb_agg(a.xmin::text || rolname ORDER BY rolname) FROM pg_authid a WHERE rolname LIKE 'sp\\_${name}%') AS roles,
                (SELECT xmin::text || datacl::text FROM pg_database WHERE datname = '${name}') AS database,
                (SELECT jsonb_agg(xmin::text || nspname ORDER BY nspname) FROM pg_namespace) AS schemas`,
      );
    const before = await snapshot();
    await provision(admin, { database: name, passwords });
    expect(await snapshot()).toEqual(before);
  });

  test('six at once on a server that lacks everything: all succeed', async () => {
    const admin = inject('postgres');
    const name = newName();
    await Promise.all(Array.from({ length: 6 }, () => provision(admin, { database: name, passwords })));
    await run(
      { ...admin, database: name, user: loginRole(name, 'owner'), password: 'owner-pw' },
      'CREATE TABLE public.t ()',
    );
  });

  test('two databases at once, and a changed password is taken over', async () => {
    const admin = inject('postgres');
    const [one, two] = [newName(), newName()];
    await Promise.all([one, two].map((database) => provision(admin, { database, passwords })));
    await provision(admin, { database: one, passwords: { ...passwords, app: 'new-pw' } });
    const app = { ...admin, database: one, user: loginRole(one, 'app') };
    await run({ ...app, password: 'new-pw' }, 'SELECT 1');
    await expect(run({ ...app, password: 'app-pw' }, 'SELECT 1')).rejects.toMatchObject({ data: { reason: 'auth' } });
  });

  test("an MCP role that takes our lock can't block a boot for ever: the wait is bounded and the role is named", async () => {
    const admin = inject('postgres');
    const name = newName();
    await provision(admin, { database: name, passwords });
    const { role } = await provisionMcp(admin, { database: name, server: 'rogue', password: 'rogue-pw' });
    const rogue = { ...admin, database: name, user: role, password: 'rogue-pw' };
    await withSession(rogue, { applicationName: 'rogue app' }, async (session) => {
      await session.query('SELECT pg_advisory_lock(7365112900431)');
      // The server's own lock comes first; whoever prepares another database at this moment has it for a while.
      const refused = () =>
        expect(provision(admin, { database: name, passwords, lockWaitMs: 200 })).rejects.toMatchObject({
          code: 'TIMEOUT',
          message: expect.stringContaining(`(role ${role}, application "rogue app")`),
          data: { holders: [{ pid: expect.any(Number), role, application: 'rogue app' }] },
        });
      await vi.waitFor(refused, { timeout: 20_000 });
    });
    await provision(admin, { database: name, passwords });
  });

  test("an MCP role can't enter the server's own databases when the server is the instance's", async () => {
    const cluster = await startThrowAwayCluster();
    try {
      const { admin } = cluster;
      const name = 'systemprompt';
      await provision(admin, { database: name, passwords, closeServer: true });
      await provision(admin, { database: name, passwords, closeServer: true });
      const { role } = await provisionMcp(admin, { database: name, server: 'rogue', password: 'rogue-pw' });
      const rogue = { ...admin, user: role, password: 'rogue-pw' };
      await run({ ...rogue, database: name }, 'SELECT 1');
      for (const database of ['postgres', 'template1']) {
        await expect(run({ ...rogue, database }, 'SELECT 1'), database).rejects.toMatchObject({
          data: { reason: 'no_right' },
        });
      }
    } finally {
      await cluster.stop();
    }
  });

  test('refuses a role of ours that somebody gave power', async () => {
    const admin = inject('postgres');
    const name = newName();
    await run(admin, `CREATE ROLE ${id(loginRole(name, 'app'))} LOGIN BYPASSRLS`);
    await expect(provision(admin, { database: name, passwords })).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('BYPASSRLS'),
    });
  });

  describe('with an ordinary role of a server of the user', () => {
    const asUser = async (name: string, attributes: string): Promise<ConnectionConfig> => {
      const admin = inject('postgres');
      const user = `sp_${name}_theirs`;
      await run(admin, `CREATE ROLE ${id(user)} LOGIN PASSWORD 'pw' ${attributes}`);
      return { ...admin, database: name, user, password: 'pw' };
    };

    test('names each missing right, and the SQL that it prints is enough', async () => {
      const admin = inject('postgres');
      const name = newName();
      const theirs = await asUser(name, '');
      await provision(admin, { database: newName(), passwords }); // the group roles exist, made by somebody else
      await run(admin, `CREATE DATABASE ${id(name)}`);
      const failure = await provision(theirs, { database: name, passwords }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'PRECONDITION', message: expect.stringMatching(/CREATEROLE.*ownership/) });
      const { sql } = (failure as { data: { sql: string } }).data;
      for (const statement of sql.split(/(?<=;)/)) if (statement.trim() !== '') await run(admin, statement);

      await provision(theirs, { database: name, passwords });
      await provision(theirs, { database: name, passwords });
      await provisionMcp(theirs, { database: name, server: 'notes', password: 'mcp-pw' });
      await run({ ...theirs, user: loginRole(name, 'owner'), password: 'owner-pw' }, 'CREATE TABLE public.t ()');
      await run({ ...theirs, user: `sp_${name}_mcp_notes`, password: 'mcp-pw' }, 'CREATE TABLE t ()');
      await expect(
        run({ ...theirs, user: loginRole(name, 'app'), password: 'app-pw' }, 'CREATE TABLE public.u ()'),
      ).rejects.toMatchObject(denied);
      await run(admin, `ALTER DATABASE ${id(name)} OWNER TO postgres; DROP OWNED BY ${id(theirs.user)} CASCADE`).catch(
        () => undefined,
      );
      await run(admin, `DROP DATABASE ${id(name)} WITH (FORCE)`);
      await run(admin, `DROP OWNED BY ${id(theirs.user)} CASCADE`);
    });
  });

  test('says why a server is not to be had, after a bounded wait and without the password', async () => {
    const admin = inject('postgres');
    const nowhere = { ...admin, host: '127.0.0.1', port: 1, password: 'canary-password' };
    const started = performance.now();
    const failure = await provision(nowhere, { database: 'x', passwords, waitMs: 400 }).catch(
      (error: unknown) => error,
    );
    expect(performance.now() - started).toBeLessThan(3000);
    expect(failure).toMatchObject({ code: 'DATABASE_UNAVAILABLE', data: { reason: 'refused' } });
    expect(JSON.stringify(failure) + String(failure)).not.toContain('canary-password');
    const wrong = provision({ ...admin, password: 'canary-password' }, { database: 'x', passwords, waitMs: 30_000 });
    await expect(wrong).rejects.toMatchObject({ data: { reason: 'auth' } });
  });
});

describe('a pool', () => {
  test('is opened lazily and closes twice', async () => {
    const database = openDatabase({ ...inject('postgres'), port: 1, host: '127.0.0.1' });
    await expect(database.query('SELECT 1')).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      data: { reason: 'refused' },
    });
    await Promise.all([database.close(), database.close()]);
  });
});
