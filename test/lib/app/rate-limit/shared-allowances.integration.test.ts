import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quotaOf, type Taken } from '../../../../src/lib/app/rate-limit/quota.ts';
import { forgetWholeAllowances } from '../../../../src/lib/app/rate-limit/repository.ts';
import { SharedAllowances } from '../../../../src/lib/app/rate-limit/shared-allowances.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

let test: TestDatabase;
/** One pool for each of the processes that count together. */
let pools: readonly Database[];
const opened: SharedAllowances[] = [];

beforeAll(async () => {
  test = await createTestDatabase();
  pools = [1, 2, 3].map(() => openDatabase(test.app));
});
afterAll(async () => {
  for (const shared of opened) shared.close();
  await Promise.all(pools?.map((pool) => pool.close()) ?? []);
  await test?.drop();
});

/** As many processes as there are pools; each tells of failures. */
function processes(databases: readonly Pick<Database, 'query'>[] = pools) {
  const failures: unknown[] = [];
  const all = databases.map((database) => {
    const shared = new SharedAllowances({
      database,
      processes: databases.length,
      burst: 1,
      onFailure: (error) => failures.push(error),
    });
    opened.push(shared);
    return shared;
  });
  return { all, failures };
}

const given = (results: readonly Taken[]) => results.filter(({ refused }) => !refused).length;

describe('several processes that count together', () => {
  it.each([
    // So slow that nothing comes back while the test runs.
    { capacity: 5, asked: 40 },
    { capacity: 600, asked: 1500 },
  ])('give $capacity requests at once and hold back 5 % at most, whoever is asked', async ({ capacity, asked }) => {
    const { all, failures } = processes();
    const quota = { ...quotaOf(`burst ${capacity}`, 0.001, 1), capacity, depthMs: capacity * 1e6 + 1 };
    const results = await Promise.all(
      Array.from({ length: asked }, (_, turn) => all[turn % all.length]?.take(quota, 'anna') as Promise<Taken>),
    );
    expect(failures).toEqual([]);
    expect(given(results)).toBeLessThanOrEqual(capacity);
    expect(given(results)).toBeGreaterThanOrEqual(Math.floor(capacity * 0.95));
  });

  it('exceed neither rate nor burst by more than 5 %, however they are asked for a while', async () => {
    const { all } = processes();
    const quota = quotaOf('steady', 400, 1);
    const begun = performance.now();
    let taken = 0;
    while (performance.now() - begun < 1500) {
      const results = await Promise.all(
        all.flatMap((shared) => [shared.take(quota, 'anna'), shared.take(quota, 'anna')]),
      );
      taken += given(results);
    }
    const allowed = quota.capacity + ((performance.now() - begun) / 1000) * quota.perSecond;
    expect(taken).toBeLessThanOrEqual(allowed * 1.05);
    expect(taken).toBeGreaterThan(allowed * 0.5); // a machine that is busy takes less
  });

  it('tell what is left and when all of it is back', async () => {
    const { all } = processes();
    const quota = quotaOf('told', 0.1, 30); // three, one in 10 s
    const first = await all[0]?.take(quota, 'anna');
    expect(first).toMatchObject({ refused: false });
    expect(first?.owingMs).toBeGreaterThan(9000);
    expect(first?.owingMs).toBeLessThanOrEqual(10_000);
    await all[1]?.take(quota, 'anna');
    await all[2]?.take(quota, 'anna');
    const refused = await all[0]?.take(quota, 'anna');
    expect(refused).toMatchObject({ refused: true });
    expect(refused?.owingMs).toBeGreaterThan(28_000);
    expect(await all[1]?.take(quota, 'bert')).toMatchObject({ refused: false });
  });

  it('ask the database once for many, and not at all while nothing can have come back', async () => {
    let asked = 0;
    const [pool] = pools;
    if (pool === undefined) throw new Error('no pool');
    const counting: Pick<Database, 'query'> = {
      query: (sql, params, options) => {
        asked += 1;
        return pool.query(sql, params, options);
      },
    };
    const { all } = processes([counting]);
    const quota = quotaOf('asked', 0.001, 200_000); // 200 at once, 10 of them ahead of need
    for (let turn = 0; turn < 200; turn += 1) await all[0]?.take(quota, 'anna');
    expect(asked).toBeLessThanOrEqual(45);
    const before = asked;
    for (let turn = 0; turn < 50; turn += 1) expect(await all[0]?.take(quota, 'anna')).toMatchObject({ refused: true });
    expect(asked - before).toBeLessThanOrEqual(1);
  });

  it('go on with their share of the rate while the database is away, and tell of it once', async () => {
    const away: Pick<Database, 'query'> = { query: () => Promise.reject(new Error('away')) };
    const { all, failures } = processes([away, away]);
    const quota = quotaOf('away', 10, 1);
    const results: Taken[] = [];
    for (let turn = 0; turn < 12; turn += 1) for (const shared of all) results.push(await shared.take(quota, 'anna'));
    expect(given(results)).toBeGreaterThanOrEqual(10);
    expect(given(results)).toBeLessThanOrEqual(12); // five each, and what comes back meanwhile
    expect(failures).toHaveLength(2);
  });
});

it('a caller whose allowance is whole for a minute is forgotten', async () => {
  const [pool] = pools;
  await pool?.query(
    `INSERT INTO rate_allowances VALUES ('q', 'gone', now() - interval '2 minutes', 1), ('q', 'here', now(), 1)`,
  );
  if (pool !== undefined) await forgetWholeAllowances(pool);
  expect(await pool?.query(`SELECT caller FROM rate_allowances WHERE quota = 'q'`)).toEqual([{ caller: 'here' }]);
});
