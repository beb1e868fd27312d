import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { clientConfig } from '../../../../src/lib/infra/database/client-config.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { Listener } from '../../../../src/lib/infra/database/listener.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

/** Polls until it holds; the default second is too short for a busy machine. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });

describe('a database', () => {
  let made: TestDatabase;
  let database: Database;
  let admin: Database;
  beforeEach(async () => {
    made = await createTestDatabase({ migrated: false });
    database = openDatabase(made.owner, { poolSize: 2, applicationName: 'under-test' });
    admin = openDatabase(made.admin);
    await database.query('CREATE TABLE things (id int PRIMARY KEY, name text)');
  });
  afterEach(async () => {
    await database.close();
    await admin.close();
    await made.drop();
  });
  const cutAll = () =>
    admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );

  test('queries with parameters, by name, and with the connection settings asked for', async () => {
    await database.query('INSERT INTO things VALUES ($1, $2)', [1, 'one']);
    for (let i = 0; i < 3; i += 1) {
      expect(await database.query('SELECT name FROM things WHERE id = $1', [1], { name: 'by_id' })).toEqual([
        { name: 'one' },
      ]);
    }
    const prepared = await database.transaction((tx) =>
      tx.query("SELECT 1 FROM pg_prepared_statements WHERE name = 'by_id'"),
    );
    expect(prepared).toHaveLength(1);
    expect(
      await database.query('SELECT application_name AS app FROM pg_stat_activity WHERE pid = pg_backend_pid()'),
    ).toEqual([{ app: 'under-test' }]);
  });

  test('a bigint is a number, and one that no number holds is an error, not another number', async () => {
    expect(await database.query('SELECT 9007199254740991::bigint AS n')).toEqual([{ n: 9_007_199_254_740_991 }]);
    await expect(database.query('SELECT 9007199254740993::bigint AS n')).rejects.toThrow(RangeError);
    expect(await database.query('SELECT 1 AS still')).toEqual([{ still: 1 }]);
  });

  test('a transaction is whole or not at all', async () => {
    await expect(
      database.transaction(async (tx) => {
        await tx.query('INSERT INTO things VALUES ($1, $2)', [1, 'one']);
        expect(await tx.query('SELECT id FROM things')).toEqual([{ id: 1 }]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await database.query('SELECT * FROM things')).toEqual([]);
    expect(
      await database.transaction(async (tx) => tx.query("INSERT INTO things VALUES (3, 'x') RETURNING id")),
    ).toEqual([{ id: 3 }]);
  });

  test('a transaction that goes on after a failed statement rejects: PostgreSQL has rolled it back', async () => {
    const done = database.transaction(async (tx) => {
      await tx.query("INSERT INTO things VALUES (1, 'a')");
      await tx.query("INSERT INTO things VALUES (1, 'b')").catch(() => {});
      return 'done';
    });
    await expect(done).rejects.toThrow('rolled back');
    expect(await database.query('SELECT * FROM things')).toEqual([]);
  });

  test("PostgreSQL's own errors come as they are, and the connection is kept", async () => {
    await expect(database.query('SELECT * FROM nothing')).rejects.toMatchObject({ code: '42P01' });
    await database.query("INSERT INTO things VALUES (1, 'a')");
    await expect(database.query("INSERT INTO things VALUES (1, 'b')")).rejects.toMatchObject({ code: '23505' });
  });

  test('a full disk is told in words, with what to do', async () => {
    const full = `DO $$ BEGIN RAISE 'could not extend file "base/5/1": No space left on device' USING ERRCODE = 'disk_full'; END $$`;
    const expected = {
      code: 'PRECONDITION',
      message: expect.stringContaining('disk'),
      hint: expect.stringMatching(/space/),
    };
    await expect(database.query(full)).rejects.toMatchObject(expected);
    await expect(database.transaction((tx) => tx.query(full))).rejects.toMatchObject(expected);
  });

  test('a connection that is cut while idle is reported, never fatal, and replaced', async () => {
    const seen = vi.fn();
    database.onError(seen);
    await cutAll();
    await eventually(() => seen.mock.calls.length).toBeGreaterThan(0);
    expect(seen.mock.calls[0]?.[0]).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('a connection that is cut under a statement or inside a transaction rejects with the reason', async () => {
    const sleeping = database.query('SELECT pg_sleep(30)').catch((error: unknown) => error);
    await eventually(
      async () =>
        (await admin.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"))
          .length,
    ).toBe(1);
    await cutAll();
    expect(await sleeping).toMatchObject({ code: 'DATABASE_UNAVAILABLE', data: { reason: 'stopping' } });

    const inside = database.transaction(async (tx) => {
      await tx.query('SELECT 1');
      await cutAll();
      await tx.query('SELECT 2');
    });
    await expect(inside).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('waits for a free connection no longer than told', async () => {
    const small = openDatabase(made.owner, { poolSize: 1, connectTimeoutMs: 100 });
    try {
      await small.transaction(async () => {
        await expect(small.query('SELECT 1')).rejects.toMatchObject({
          code: 'DATABASE_UNAVAILABLE',
          data: { reason: 'timeout' },
        });
      });
    } finally {
      await small.close();
    }
  });

  describe('listening', () => {
    test('hears what others announce, on the channels asked for, until told to stop', async () => {
      const one = vi.fn();
      const two = vi.fn();
      const stop = await database.listen('Channel one', one);
      await database.listen('two', two);
      await admin.query('SELECT pg_notify($1, $2)', ['Channel one', 'first']);
      await eventually(() => one.mock.calls).toEqual([['first', false]]);
      await stop();
      await admin.query("SELECT pg_notify('Channel one', 'second'), pg_notify('two', 'mark')");
      await eventually(() => two.mock.calls).toEqual([['mark', false]]);
      expect(one.mock.calls).toHaveLength(1);
    });

    test('after its connection was cut it comes back, tells every handler to reload, and hears again', async () => {
      const handlers = [vi.fn(), vi.fn(), vi.fn()] as const;
      await database.listen('one', handlers[0]);
      await database.listen('one', handlers[1]);
      await database.listen('two', handlers[2]);
      await cutAll();
      for (const handler of handlers) await eventually(() => handler.mock.calls).toEqual([['', true]]);
      await admin.query("SELECT pg_notify('one', 'again')");
      for (const handler of handlers.slice(0, 2))
        await eventually(() => handler.mock.lastCall).toEqual(['again', false]);
    });

    test('a connection that goes silent without being closed is noticed and replaced', async () => {
      const pairs: Socket[] = [];
      // A proxy in place of the network: what it stops to carry is not closed, only silent.
      const proxy = createServer((near) => {
        const far = connect(made.owner.port, '127.0.0.1');
        pairs.push(near, far);
        near.pipe(far).on('error', () => {});
        far.pipe(near).on('error', () => {});
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const place = { ...made.owner, host: '127.0.0.1', port: (proxy.address() as AddressInfo).port };
      const listener = new Listener(clientConfig(place, 'silent', 1000), place, () => {}, 50);
      try {
        const handler = vi.fn();
        await listener.listen('one', handler);
        for (const socket of pairs.splice(0)) socket.unpipe().pause();
        await eventually(() => handler.mock.calls).toEqual([['', true]]);
      } finally {
        await listener.close();
        for (const socket of pairs) socket.destroy();
        proxy.close();
      }
    });

    test('a handler that throws harms no other', async () => {
      const good = vi.fn();
      const seen = vi.fn();
      database.onError(seen);
      await database.listen('one', () => {
        throw new Error('mine alone');
      });
      await database.listen('one', good);
      await admin.query("SELECT pg_notify('one', 'x')");
      await eventually(() => good.mock.calls).toEqual([['x', false]]);
      expect(seen.mock.calls[0]?.[0]).toMatchObject({ message: 'mine alone' });
    });

    test('says why when the first connection is not to be had', async () => {
      const nowhere = openDatabase({ ...made.owner, host: '127.0.0.1', port: 1 });
      await expect(nowhere.listen('one', vi.fn())).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
        data: { reason: 'refused' },
      });
      await nowhere.close();
    });
  });
});
