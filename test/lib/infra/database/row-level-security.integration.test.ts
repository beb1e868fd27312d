import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SessionService } from '../../../../src/lib/domain/auth/index.ts';
import { AuditReader } from '../../../../src/lib/domain/governance/index.ts';
import {
  type Database,
  databaseFor,
  openDatabase,
  type Queryable,
  withActor,
} from '../../../../src/lib/infra/database/connection.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

let test: TestDatabase;
let owner: Database;
/** Says for nobody whom it works for. */
let undeclared: Database;
let system: Database;
const users = { anna: '' as UserId, bert: '' as UserId };
const sessions = { anna: '' as SessionId, bert: '' as SessionId };

/** Tables with a user that are not the user's own, and why. */
const notOwned: Readonly<Record<string, string>> = {
  'public.oauth_clients': 'the service account that a client signs in as',
};

const bytes = () => randomBytes(32);
/** One row for a user in each table of users' own rows; where it is a function, made by the owner. */
const rows: Readonly<Record<string, (tx: Queryable, user: UserId, session: SessionId) => Promise<unknown>>> = {
  'public.user_sessions': (tx, user) =>
    tx.query(`INSERT INTO user_sessions (user_id, client, expires_at) VALUES ($1, 'more', now() + interval '1 hour')`, [
      user,
    ]),
  'public.oauth_payloads': (tx, user) =>
    tx.query(
      `INSERT INTO oauth_payloads (model, id_hash, user_id, client, sealed, expires_at)
       VALUES ('Interaction', $2, $1, 'c', '\\x00', now() + interval '1 hour')`,
      [user, bytes()],
    ),
  'public.passkeys': (tx, user) =>
    tx.query(
      `INSERT INTO passkeys (user_id, credential_id, public_key, rp_id, name, device_type, backed_up, counter, aaguid, transports)
       VALUES ($1, $2, $2, 'localhost', 'Key', 'multiDevice', false, 0, '00000000-0000-0000-0000-000000000000', '{}')`,
      [user, bytes()],
    ),
  'public.federated_identities': (tx, user) =>
    tx.query(
      `INSERT INTO federated_identities (user_id, provider, issuer, subject) VALUES ($1, 'p', 'https://idp.example', $2)`,
      [user, randomUUID()],
    ),
  'public.browser_sessions': (tx, user, session) =>
    tx.query(`INSERT INTO browser_sessions (session_id, user_id, hash, methods) VALUES ($2, $1, $3, '{passkey}')`, [
      user,
      session,
      bytes(),
    ]),
  'public.sign_in_steps': (tx, user) =>
    tx.query(
      `INSERT INTO sign_in_steps (purpose, hash, user_id, expires_at) VALUES ('mail_link', $2, $1, now() + interval '1 hour')`,
      [user, bytes()],
    ),
  'public.personal_access_tokens': (tx, user, session) =>
    tx.query(
      `INSERT INTO personal_access_tokens (user_id, session_id, name, hash, audience, scopes, expires_at)
       VALUES ($1, $2, 'ci', $3, 'http://localhost', '{user}', now() + interval '1 hour')`,
      [user, session, bytes()],
    ),
  'public.identity_events': (tx, user) =>
    tx.query(`INSERT INTO identity_events (type, user_id) VALUES ('sign_in', $1)`, [user]),
  'audit.tool_intents': (tx, user) =>
    tx.query(
      `INSERT INTO audit.tool_intents (execution_id, api_instance, server, tool, user_id, user_name, session_id, scopes, required,
         input_digest, input, decision, started_at)
       VALUES (gen_random_uuid(), gen_random_uuid(), 's', 't', $1, 'n', 's', '{}', '{}', 'd', '{}', 'allowed', now())`,
      [user],
    ),
  'public.tool_approvals': (tx, user) =>
    tx.query(
      `INSERT INTO tool_approvals (id, user_id, user_name, client, session_id, server, tool, input_digest, input, policy_version,
         reason, approver, expires_at)
       VALUES (gen_random_uuid(), $1, 'n', 'c', 's', 's', 't', 'd' || random(), '{}', 'v', 'r', 'caller', now() + interval '1 hour')`,
      [user],
    ),
  'public.tool_artifacts': (tx, user) =>
    tx.query(
      `INSERT INTO tool_artifacts (execution_id, user_id, server, tool, type, artifact, bytes, expires_at)
       VALUES (gen_random_uuid(), $1, 's', 't', 'text', '{}', 2, now() + interval '1 hour')`,
      [user],
    ),
  'mcp.sessions': (tx, user, session) =>
    tx.query(
      `INSERT INTO mcp.sessions (id, server, instance_id, upstream_id, user_id, sign_in_id, client, transport)
       VALUES (gen_random_uuid(), 's', gen_random_uuid(), 'u', $1, $2, 'c', 'streamable-http')`,
      [user, session],
    ),
  'mcp.server_logs': (tx, user) =>
    tx.query(
      `INSERT INTO mcp.server_logs (server, instance_id, at, user_id, line, digest)
       VALUES ('s', gen_random_uuid(), now(), $1, 'l', 'd')`,
      [user],
    ),
  'mcp.user_tools': (tx, user) =>
    tx.query("INSERT INTO mcp.user_tools (user_id, server, tools) VALUES ($1, gen_random_uuid()::text, '{}')", [user]),
  'mcp.user_credentials': (tx, user) =>
    tx.query(
      `INSERT INTO mcp.user_credentials (user_id, server, name, sealed) VALUES ($1, gen_random_uuid()::text, 'n', 'jwe')`,
      [user],
    ),
  'mcp.upstream_grants': (tx, user) =>
    tx.query(
      `INSERT INTO mcp.upstream_grants (server, user_id, issuer, resource, client_id, scopes, sealed, refreshable)
       VALUES (gen_random_uuid()::text, $1, 'i', 'r', 'c', '{}', 'jwe', false)`,
      [user],
    ),
  'mcp.upstream_attempts': (tx, user) =>
    tx.query(
      `INSERT INTO mcp.upstream_attempts (hash, browser, user_id, server, shared, issuer, resource, client_id, scopes, expires_at)
       VALUES ($2, $2, $1, 's', false, 'i', 'r', 'c', '{}', now() + interval '1 hour')`,
      [user, bytes()],
    ),
};
const appendOnly = new Set([
  'public.identity_events',
  'audit.tool_intents',
  'public.tool_artifacts',
  'mcp.server_logs',
]);
/** Of tables whose rows keep their user: what may change. */
const changeable: Readonly<Record<string, string>> = {
  'public.personal_access_tokens': 'revoked_at = now()',
  'public.tool_approvals': "state = 'expired'",
};

beforeAll(async () => {
  test = await createTestDatabase();
  owner = openDatabase(test.owner, { poolSize: 1 });
  undeclared = openDatabase(test.app, { poolSize: 1 });
  system = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  for (const name of ['anna', 'bert'] as const) {
    const [user] = await owner.query<{ id: UserId }>(
      `INSERT INTO users (name, display_name, roles) VALUES ($1, $1, '{user}') RETURNING id`,
      [name],
    );
    users[name] = user?.id ?? users[name];
    const session = await new SessionService(system).begin({ userId: users[name], client: 'test', ttlSeconds: 600 });
    sessions[name] = session.id;
    for (const add of Object.values(rows)) await add(owner, users[name], session.id);
  }
  await owner.query(
    `INSERT INTO audit.tool_outcomes (execution_id, status) SELECT execution_id, 'success' FROM audit.tool_intents`,
  );
});
afterAll(async () => {
  await Promise.all([owner?.close(), undeclared?.close(), system?.close()]);
  await test?.drop();
});

const seen = async (tx: Queryable, table: string): Promise<string[]> =>
  (await tx.query<{ user: string }>(`SELECT DISTINCT user_id::text AS "user" FROM ${table} ORDER BY 1`)).map(
    ({ user }) => user,
  );

describe('rows that belong to users', () => {
  it('lie in tables that are all guarded: a new one is too, or it is said here why not', async () => {
    const tables = await owner.query<{ name: string; guarded: boolean }>(
      `SELECT format('%s.%s', n.nspname, c.relname) AS name, c.relrowsecurity AS guarded
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE a.attname = 'user_id' AND c.relkind = 'r' AND n.nspname IN ('public', 'audit', 'mcp') ORDER BY 1`,
    );
    const owned = tables.filter(({ name }) => !Object.hasOwn(notOwned, name));
    expect(owned.filter(({ guarded }) => !guarded)).toEqual([]);
    expect(owned.map(({ name }) => name)).toEqual(Object.keys(rows).sort());
  });

  it('are in no reach of roles that could step over the guard', async () => {
    const [role] = await undeclared.query('SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user');
    expect(role).toEqual({ rolsuper: false, rolbypassrls: false });
    await expect(undeclared.query('SET row_security = off; SELECT * FROM user_sessions')).rejects.toThrow(
      /row-level security/,
    );
  });
});

describe.each(Object.keys(rows))('%s', (table) => {
  const add = rows[table] as (typeof rows)[string];

  it('shows nothing to a connection that does not say for whom it works', async () => {
    expect(await seen(undeclared, table)).toEqual([]);
  });

  it('shows a user the own rows, on a connection of the system too, and the system all', async () => {
    const { anna, bert } = users;
    expect(await withActor(system, anna, (tx) => seen(tx, table))).toEqual([anna]);
    expect(await withActor(undeclared, bert, (tx) => seen(tx, table))).toEqual([bert]);
    expect(await seen(system, table)).toEqual([anna, bert].sort());
    expect(await seen(undeclared, table)).toEqual([]); // whom it worked for ended with the transaction
  });

  it.skipIf(appendOnly.has(table))('lets a user neither change nor remove nor add rows of another', async () => {
    const { anna, bert } = users;
    const column = changeable[table] ?? 'user_id = user_id';
    const change = (sql: string) => withActor(system, anna, (tx) => tx.query<{ user: string }>(sql, [bert]));
    expect(await change(`UPDATE ${table} SET ${column} WHERE user_id = $1 RETURNING user_id`)).toEqual([]);
    const [may] = await owner.query<{ delete: boolean }>(`SELECT has_table_privilege($1, $2, 'DELETE') AS "delete"`, [
      test.app.user,
      table,
    ]);
    if (may?.delete === true)
      expect(await change(`DELETE FROM ${table} WHERE user_id = $1 RETURNING user_id`)).toEqual([]);
    await expect(withActor(system, anna, (tx) => add(tx, bert, sessions.bert))).rejects.toThrow(/row-level security/);
  });
});

describe('what reads for people', () => {
  it('finds no session of another to end', async () => {
    const ended = new SessionService(databaseFor(system, users.anna)).revoke(sessions.bert);
    await expect(ended).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lists no call of another, whatever it is asked for, and no outcome of one', async () => {
    const admin = { userId: users.anna, userName: 'anna', scopes: ['admin'], permission: 'admin' as const };
    // A reader that took a user for an admin by mistake: the database knows better.
    const page = await withActor(system, users.anna, (tx) => new AuditReader(tx).list(admin));
    expect(page.entries.map(({ userId }) => userId)).toEqual([users.anna]);
    expect(
      await withActor(system, users.anna, (tx) => tx.query('SELECT status FROM audit.tool_outcomes')),
    ).toHaveLength(1);
  });

  it('knows nobody but the user, and lets nobody raise themselves', async () => {
    const names = await withActor(system, users.anna, (tx) => tx.query('SELECT name FROM users'));
    expect(names).toEqual([{ name: 'anna' }]);
    expect(await undeclared.query('SELECT name FROM users')).toEqual([]);
    const raised = withActor(system, users.anna, (tx) => tx.query(`UPDATE users SET roles = '{admin}'`));
    await expect(raised).rejects.toThrow(/row-level security/);
  });

  it('refuses what is no actor before it reaches the database', async () => {
    const work = () => Promise.resolve();
    expect(() => openDatabase(test.app, { actor: "x' -c role=postgres" as UserId })).toThrow(RangeError);
    await expect(withActor(system, 'a,b' as UserId, work)).rejects.toThrow(RangeError);
  });
});
