import { afterEach, expect, it } from 'vitest';
import type { Backend, BackendListener, InstanceScope } from '../../../../src/lib/app/bridge/backend.ts';
import { translate } from '../../../../src/lib/app/bridge/eras/translate.ts';
import { InstancePool } from '../../../../src/lib/app/bridge/pool.ts';
import { ClientSessions, type SessionsOptions } from '../../../../src/lib/app/bridge/sessions.ts';
import { UpstreamFailedError } from '../../../../src/lib/shared/errors.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';

interface Opened {
  readonly scope: InstanceScope;
  readonly listener: BackendListener;
  closed: boolean;
}

const pools: InstancePool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

function poolOf(
  more: { limit?: number; perUser?: number; fail?: () => boolean; onEnd?: (stopped: boolean) => void } = {},
) {
  const opened: Opened[] = [];
  let starts = 0;
  const pool = new InstancePool({
    translate,
    idleStopMs: 0,
    limit: more.limit ?? 10,
    ...(more.perUser === undefined ? {} : { perUser: more.perUser }),
    factory: {
      async open(scope, _, listener) {
        starts += 1;
        await Promise.resolve();
        if (more.fail?.() === true) throw new UpstreamFailedError('no');
        const one: Opened = { scope, listener, closed: false };
        opened.push(one);
        const backend: Partial<Backend> = {
          era: 'legacy',
          initialized: {},
          async close() {
            if (one.closed) return;
            one.closed = true;
            listener.onEnd({ message: 'stopped' });
          },
        };
        return backend as Backend;
      },
    },
    listener: { onMessage: () => undefined, onEnd: (_, __, stopped) => more.onEnd?.(stopped) },
  });
  pools.push(pool);
  return { pool, opened, starts: () => starts };
}

const user = (name: string, key: string): InstanceScope => ({ kind: 'user', user: name as UserId, key });

it('starts one instance for all that ask at once', async () => {
  const { pool, starts } = poolOf();
  const all = await Promise.all(Array.from({ length: 20 }, () => pool.acquire({ kind: 'shared' }, {})));
  expect(new Set(all).size).toBe(1);
  expect(pool.ready({ kind: 'shared' })).toBe(all[0]);
  expect(starts()).toBe(1);
});

it('replaces the instance of a user who brings something else, and leaves those of others', async () => {
  const { pool, opened } = poolOf();
  const [ada, bob] = [await pool.acquire(user('ada', '1'), {}), await pool.acquire(user('bob', '1'), {})];
  const again = await pool.acquire(user('ada', '2'), {});
  expect(again).not.toBe(ada);
  await expect.poll(() => opened[0]?.closed).toBe(true);
  expect(pool.ready(user('ada', '1'))).toBeUndefined();
  expect(pool.ready(user('bob', '1'))).toBe(bob);
});

it('does not try again at once what has just failed, and does not hold it against another user', async () => {
  let fails = true;
  const { pool, starts } = poolOf({ fail: () => fails });
  for (let round = 0; round < 5; round += 1) {
    await expect(pool.acquire(user('ada', '1'), {})).rejects.toThrow('no');
  }
  expect(starts()).toBe(1);
  fails = false;
  await pool.acquire(user('bob', '1'), {});
  await expect
    .poll(
      () =>
        pool.acquire(user('ada', '1'), {}).then(
          () => 'up',
          () => 'down',
        ),
      { timeout: 5_000 },
    )
    .toBe('up');
});

it('an instance that ends soon after its start counts as one that did not start', async () => {
  const ends: boolean[] = [];
  const { pool, opened, starts } = poolOf({ onEnd: (stopped) => ends.push(stopped) });
  await pool.acquire({ kind: 'shared' }, {});
  opened[0]?.listener.onEnd({ message: 'gone', exitCode: 1, stderr: 'why' });
  expect(ends).toEqual([false]);
  await expect(pool.acquire({ kind: 'shared' }, {})).rejects.toMatchObject({ data: { exit_code: 1, stderr: 'why' } });
  expect(starts()).toBe(1);
});

it('makes room by the one that has had nothing to do for longest', async () => {
  const { pool, opened } = poolOf({ limit: 2 });
  await pool.acquire(user('ada', '1'), {});
  await pool.acquire(user('bob', '1'), {});
  await pool.acquire(user('eve', '1'), {});
  expect(opened.map(({ closed }) => closed)).toEqual([true, false, false]);
  expect(pool.size).toBe(2);
});

it('starts nothing once it is closed', async () => {
  const { pool } = poolOf();
  await pool.acquire({ kind: 'shared' }, {});
  await pool.close();
  await expect(pool.acquire({ kind: 'shared' }, {})).rejects.toThrow('stopping');
});

it('lets one user take no more than a share: theirs make room for each other, those of others stay', async () => {
  const { pool, opened } = poolOf({ limit: 10, perUser: 2 });
  const session = (name: string): InstanceScope => ({ kind: 'session', session: name });
  await pool.acquire(session('b1'), {}, 'bert');
  for (const name of ['a1', 'a2', 'a3']) await pool.acquire(session(name), {}, 'anna');
  expect(opened.map(({ closed }) => closed)).toEqual([false, true, false, false]);
  expect(pool.size).toBe(3);
});

it('lets one user have no more than a share of the sessions: the oldest of theirs ends, those of others stay', () => {
  const ended: string[] = [];
  const sessions = new ClientSessions({
    limit: 10,
    perUser: 2,
    idleMs: 60_000,
    keepAlive: { add: () => {}, delete: () => {} },
    onEnd: ({ id }: { readonly id: string }) => ended.push(id),
  } as unknown as SessionsOptions);
  const begin = (id: string, sub: string) => sessions.begin(id, { sub } as never, {}, { forget: () => {} } as never);
  begin('b1', 'bert');
  for (const id of ['a1', 'a2', 'a3']) begin(id, 'anna');
  expect(ended).toEqual(['a1']);
  expect(sessions.size).toBe(3);
  expect(sessions.find('b1', { sub: 'bert' } as never)).toBeDefined();
});
