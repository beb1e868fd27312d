import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientService, ClientStore, cliClientId, kindField } from '../../../../src/lib/domain/auth/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { ConflictError, ForbiddenError, NotFoundError } from '../../../../src/lib/shared/errors.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { until } from '../../../helpers/identity.ts';

let test: TestDatabase;
let database: Database;
let owner: Database;
let service: ClientService;
let store: ClientStore;
/** What another process remembers. */
let other: ClientStore;

beforeAll(async () => {
  test = await createTestDatabase();
  database = openDatabase(test.app, { poolSize: 4, actor: 'system' });
  owner = openDatabase(test.owner, { poolSize: 1 });
  service = new ClientService(database);
  [store, other] = await Promise.all([ClientStore.open(database), ClientStore.open(database)]);
});
afterAll(async () => {
  await Promise.all([store?.close(), other?.close()]);
  await Promise.all([database?.close(), owner?.close()]);
  await test?.drop();
});

const metadata = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };

async function create(id: string, options: { server?: string; more?: object } = {}) {
  const client = { id, kind: 'registered', name: id, metadata: { ...metadata, ...options.more } } as const;
  const server = options.server;
  const made = await database.transaction((tx) => service.create(tx, { ...client, server }, true));
  return made.secret ?? '';
}

describe('clients', () => {
  it('begin with the command line, which has no secret and can be neither changed nor removed', async () => {
    expect(await store.find(cliClientId)).toMatchObject({
      client_id: cliClientId,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      [kindField]: 'builtin',
    });
    expect(await store.find(cliClientId)).not.toHaveProperty('client_secret');
    await expect(database.transaction((tx) => service.delete(tx, cliClientId))).rejects.toThrow(ForbiddenError);
    await expect(database.transaction((tx) => service.rotateSecret(tx, cliClientId))).rejects.toThrow(ForbiddenError);
  });

  it('auth 22: keep of a secret its hash alone', async () => {
    const secret = await create('hashed');
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const rows = await owner.query('SELECT c::text AS c, s::text AS s FROM oauth_clients c, oauth_client_secrets s');
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
    const kept = await store.find('hashed');
    expect(await store.secretMatches('hashed', String(kept?.['client_secret']))).toBe(false);
    expect(await store.secretMatches('hashed', secret)).toBe(true);
    expect(await store.secretMatches('nobody', secret)).toBe(false);
    const reader = openDatabase(test.reader, { poolSize: 1 });
    try {
      await reader.query('SELECT id FROM oauth_client_secrets');
      await expect(reader.query('SELECT hash FROM oauth_client_secrets')).rejects.toThrow(/permission denied/);
    } finally {
      await reader.close();
    }
  });

  it('auth 40: have two live secrets at most, so that one is replaced while the other works', async () => {
    const first = await create('rotating');
    const rotate = (revokeOld = false) =>
      database.transaction((tx) => service.rotateSecret(tx, 'rotating', { revokeOld }));
    const good = async (...secrets: string[]) =>
      Promise.all(secrets.map((secret) => other.secretMatches('rotating', secret)));
    expect(await good(first)).toEqual([true]);
    const { secret: second } = await rotate();
    await until('the other process knows the second', async () => (await good(second))[0] === true);
    expect(await good(first, second)).toEqual([true, true]);
    const { secret: third, revoked } = await rotate();
    expect(revoked).toBe(1);
    await until('the first has ended', async () => (await good(first))[0] === false);
    expect(await good(first, second, third)).toEqual([false, true, true]);
    expect((await service.show('rotating')).secrets).toHaveLength(2);
    await Promise.all(Array.from({ length: 6 }, () => rotate()));
    expect((await service.show('rotating')).secrets).toHaveLength(2);
    const { secret: only } = await rotate(true);
    await until('the last is the only one', async () => (await good(only))[0] === true);
    expect((await service.show('rotating')).secrets).toHaveLength(1);
  });

  it('lose their tokens when they are disabled or removed, in every process', async () => {
    await create('leaving');
    const [user] = await owner.query<{ id: string }>(
      "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{user}') RETURNING id",
    );
    const session = async () => {
      const [row] = await database.query<{ id: string }>(
        `INSERT INTO user_sessions (user_id, client, expires_at) VALUES ($1, 'leaving', now() + interval '1 h') RETURNING id`,
        [user?.id],
      );
      return row?.id;
    };
    const ended = async (id: string | undefined) => {
      const [row] = await database.query<{ ended: boolean }>(
        'SELECT revoked_at IS NOT NULL AS ended FROM user_sessions WHERE id = $1',
        [id],
      );
      return row?.ended;
    };
    const first = await session();
    expect(await other.find('leaving')).toBeDefined();
    await database.transaction((tx) => service.update(tx, 'leaving', { status: 'disabled' }));
    await until('it is refused elsewhere', async () => (await other.find('leaving')) === undefined);
    expect(await ended(first)).toBe(true);
    await database.transaction((tx) => service.update(tx, 'leaving', { status: 'active', name: 'Back' }));
    await until('it is back', async () => (await other.find('leaving'))?.['client_name'] === 'Back');
    const second = await session();
    await database.transaction((tx) => service.delete(tx, 'leaving'));
    await until('it is gone elsewhere', async () => (await other.find('leaving')) === undefined);
    expect(await ended(second)).toBe(true);
    await expect(service.show('leaving')).rejects.toThrow(NotFoundError);
  });

  it('that are service accounts have a session, and a new one when it was ended', async () => {
    const [robot] = await owner.query<{ id: UserId }>(
      "INSERT INTO users (name, display_name, roles) VALUES ('robot', 'Robot', '{service}') RETURNING id",
    );
    const client = { id: 'robot', kind: 'service', name: 'Robot', metadata, userId: robot?.id } as const;
    await database.transaction((tx) => service.create(tx, client, true));
    const [first, again] = await Promise.all([store.session('robot'), other.session('robot')]);
    expect(first).toBeDefined();
    expect(again).toBe(first);
    await until('it is known', async () => (await other.client('robot'))?.sessionId === first);
    await owner.query('UPDATE user_sessions SET revoked_at = now() WHERE id = $1', [first]);
    const next = await store.session('robot');
    expect(next).not.toBe(first);
    expect(await store.session('hashed')).toBeUndefined();
  });

  it('have one id each', async () => {
    await create('twice');
    await expect(create('twice')).rejects.toThrow(ConflictError);
    const keyed = { more: { token_endpoint_auth_method: 'private_key_jwt' } };
    await create('keyed', keyed);
    await expect(database.transaction((tx) => service.rotateSecret(tx, 'keyed'))).rejects.toThrow(ConflictError);
  });

  it('auth 26: that registered themselves go when nobody uses them; who is signed in by one keeps it', async () => {
    const register = (id: string) =>
      store.registering({ network: '203.0.113.7', address: '203.0.113.7' }, () =>
        store.register(id, { ...metadata, client_id: id, client_secret: `s-${id}` }),
      );
    await Promise.all(['fresh', 'unused', 'idle', 'idle-in-use'].map(register));
    expect(await store.secretMatches('fresh', 's-fresh')).toBe(true);
    expect((await store.client('fresh'))?.registeredFrom).toBe('203.0.113.7');
    await owner.query(`UPDATE oauth_clients SET created_at = now() - interval '2 days' WHERE id = 'unused'`);
    await owner.query(
      `UPDATE oauth_clients SET created_at = now() - interval '99 days', last_used_at = now() - interval '98 days'
       WHERE id LIKE 'idle%'`,
    );
    await owner.query(
      `INSERT INTO user_sessions (user_id, client, expires_at) SELECT id, 'idle-in-use', now() + interval '1 h' FROM users`,
    );
    const removed = await store.collect({ unusedSeconds: 86_400, idleSeconds: 90 * 86_400 });
    expect(removed.sort()).toEqual(['idle', 'unused']);
    expect(await store.registrations('203.0.113.7')).toEqual({ lastHour: 1, all: 2 });
    store.touch('fresh');
    await until('its use is remembered', async () => (await service.show('fresh')).lastUsedAt !== undefined);
    expect((await service.list()).map(({ id }) => id)).not.toContain('fresh');
    expect((await service.list({ dynamic: true })).map(({ id }) => id)).toContain('fresh');
  });
});
