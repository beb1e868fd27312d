import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientAdministration, type ClientDraft } from '../../../../src/lib/app/access/clients.ts';
import { DatabaseEntitlements } from '../../../../src/lib/app/access/entitlements.ts';
import { ClientStore } from '../../../../src/lib/domain/auth/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { ConflictError, ForbiddenError, NotFoundError, UsageError } from '../../../../src/lib/shared/errors.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { serverConfig } from '../../../helpers/server-config.ts';

let test: TestDatabase;
let database: Database;
let store: ClientStore;
let clients: ClientAdministration;
let admin: Actor;

beforeAll(async () => {
  test = await createTestDatabase();
  database = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  store = await ClientStore.open(database);
  clients = new ClientAdministration(database, [
    serverConfig({ oauth: { required: true, scopes: ['user', 'notes:write'] } }),
    serverConfig({ name: 'beta' }),
  ]);
  const [row] = await database.query<{ id: UserId }>(
    "INSERT INTO users (name, display_name, roles) VALUES ('root', 'Root', '{admin}') RETURNING id",
  );
  const userId = row?.id as UserId;
  const sessionId = 'none' as SessionId;
  admin = { userId, userName: 'root', sessionId, scopes: ['admin'], permission: 'admin' };
});
afterAll(async () => {
  await store?.close();
  await database?.close();
  await test?.drop();
});

const create = (id: string, more: Partial<ClientDraft>) => clients.create(admin, { id, ...more });
const service = { roles: [], servers: [], scopes: [] };

describe('a client that an admin makes', () => {
  it('is a service account with a user, a secret that is shown once, and what was granted', async () => {
    const draft = { roles: ['user' as const], servers: ['alpha'], scopes: ['notes:write'] };
    const { client, secret } = await create('nightly', { name: 'Nightly build', service: draft });
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(await store.secretMatches('nightly', secret ?? '')).toBe(true);
    expect(client).toMatchObject({ kind: 'service', targets: ['alpha'], name: 'Nightly build' });
    const [user] = await database.query('SELECT name, kind, roles FROM users WHERE id = $1', [client.userId]);
    expect(user).toEqual({ name: 'nightly', kind: 'service', roles: ['user'] });
    const resource = { name: 'alpha', scopes: [{ name: 'user' }, { name: 'notes:write' }], openScopes: [] };
    const holder = { userId: client.userId as UserId, clientId: 'nightly' };
    const { scopes } = await new DatabaseEntitlements(database).permittedScopes(holder, resource);
    expect([...scopes]).toEqual(expect.arrayContaining(['user', 'notes:write']));
    const events = await database.query<{ type: string }>(
      "SELECT type, data::text FROM identity_events WHERE actor_id = $1 AND (client_id = 'nightly' OR user_id = $2) ORDER BY id",
      [admin.userId, client.userId],
    );
    expect(events.map(({ type }) => type)).toEqual(['user_changed', 'grant_added', 'client_registered']);
    expect(JSON.stringify(events)).not.toContain(secret);
  });

  it('may show something else than a secret', async () => {
    const workload = await create('deploy', { service: { ...service, proof: 'workload' } });
    expect(workload).not.toHaveProperty('secret');
    expect(workload.client.metadata).toMatchObject({
      token_endpoint_auth_method: 'none',
      grant_types: expect.arrayContaining(['urn:ietf:params:oauth:grant-type:jwt-bearer']),
    });
    const keys = [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }];
    const signing = await create('signing', { service: { ...service, proof: { keys } } });
    expect(signing).not.toHaveProperty('secret');
    const secret = { keys: [{ ...keys[0], d: 'private' }] };
    await expect(create('careless', { service: { ...service, proof: secret } })).rejects.toThrow(UsageError);
    expect(await store.client('careless')).toBeUndefined();
    expect(await database.query("SELECT FROM users WHERE name = 'careless'")).toEqual([]);
  });

  it('is an MCP server itself, or an app', async () => {
    const made = await create('alpha-server', { server: { name: 'alpha', exchangeTo: ['beta'] } });
    expect(made.client).toMatchObject({ kind: 'registered', server: 'alpha', targets: ['beta'] });
    expect(made.secret).toBeDefined();
    const app = await create('editor', { app: { redirectUris: ['http://127.0.0.1/cb'], secret: false } });
    expect(app.client.metadata).toMatchObject({ application_type: 'native', token_endpoint_auth_method: 'none' });
    const web = await create('site', { app: { redirectUris: ['https://site.example/cb'], secret: true } });
    expect(web.secret).toBeDefined();
    expect(await store.find('site')).toMatchObject({ application_type: 'web', systemprompt_kind: 'registered' });
  });

  it('is refused where it makes no sense', async () => {
    const app = (redirectUris: string[]) => ({ app: { redirectUris, secret: false } });
    for (const uri of [
      'http://evil.example/',
      'javascript:alert(1)',
      'https://a.example/#x',
      'https://u@a.example/',
      'x',
    ]) {
      await expect(create('app', app([uri])), uri).rejects.toThrow(UsageError);
    }
    for (const id of ['', 'Upper', 'dyn_x', 'a b', 'https://a.example/x', 'x'.repeat(64)]) {
      await expect(create(id, app(['https://a.example/'])), id).rejects.toThrow(UsageError);
    }
    await expect(create('nothing', {})).rejects.toThrow(UsageError);
    await expect(create('lost', { service: { ...service, servers: ['gamma'] } })).rejects.toThrow(NotFoundError);
    await expect(create('lost', { server: { name: 'gamma', exchangeTo: [] } })).rejects.toThrow(NotFoundError);
    const wide = { ...service, servers: ['alpha'], scopes: ['admin'] };
    await expect(create('lost', { service: wide })).rejects.toThrow(UsageError);
    await expect(create('nightly', app(['https://a.example/']))).rejects.toThrow(ConflictError);
    await expect(create('root', { service })).rejects.toThrow(ConflictError);
    const somebody: Actor = { ...admin, scopes: ['user'], permission: 'user' };
    await expect(clients.list(somebody, { dynamic: true, limit: 9 })).rejects.toThrow(ForbiddenError);
    await expect(clients.create(somebody, { id: 'mine', service })).rejects.toThrow(ForbiddenError);
    await expect(clients.delete(admin, 'systemprompt-cli')).rejects.toThrow(ForbiddenError);
  });

  it('is changed, gets another secret, and is removed', async () => {
    const changed = await clients.update(admin, 'nightly', { targets: ['alpha', 'beta'], status: 'disabled' });
    expect(changed).toMatchObject({ targets: ['alpha', 'beta'], status: 'disabled' });
    await clients.update(admin, 'nightly', { status: 'active', name: 'Nightly' });
    await expect(clients.update(admin, 'nightly', { redirectUris: ['https://a.example/'] })).rejects.toThrow(
      UsageError,
    );
    await expect(clients.update(admin, 'editor', { targets: ['alpha'] })).rejects.toThrow(UsageError);
    await expect(clients.rotateSecret(admin, 'editor', { revokeOld: false })).rejects.toThrow(ConflictError);
    const { secret, revoked } = await clients.rotateSecret(admin, 'nightly', { revokeOld: true });
    expect(revoked).toBe(1);
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect((await clients.show(admin, 'nightly')).secrets).toHaveLength(1);
    const live = () =>
      database.query(
        "SELECT FROM access_grants WHERE subject_type = 'client' AND subject = 'nightly' AND revoked_at IS NULL",
      );
    await database.query(
      "INSERT INTO access_grants (subject_type, subject, server, scope, created_by) VALUES ('client', 'nightly', 'beta', 'x:y', $1)",
      [admin.userId],
    );
    expect((await live()).length).toBeGreaterThan(0);
    await clients.delete(admin, 'nightly');
    // Whoever is given the same id later gets nothing with it.
    expect(await live()).toEqual([]);
    await expect(clients.show(admin, 'nightly')).rejects.toThrow(NotFoundError);
    // The account is still there, and may be a client again.
    expect((await create('nightly', { service })).client.userId).toBeDefined();
    const types = await database.query<{ type: string }>(
      "SELECT type FROM identity_events WHERE client_id = 'nightly'",
    );
    expect(types.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['client_changed', 'client_removed', 'grant_revoked']),
    );
  });
});
