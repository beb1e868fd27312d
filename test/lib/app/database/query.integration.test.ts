import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readQuery, writeQuery } from '../../../../src/lib/app/database/query.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

const usual = { limit: 1000, timeoutMs: 20_000 };

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await run("INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{admin}'), ('bob', 'Bob', '{user}')");
  await run(
    `INSERT INTO signing_keys (kid, alg, status, public_jwk, private_jwe) VALUES ('k', 'ES256', 'next', '{}', 'canary')`,
  );
});
afterAll(() => database.drop());

const run = (sql: string) => withSession(database.owner, {}, (session) => session.query(sql));
const read = (sql: string, options = {}) => readQuery(database.reader, { ...usual, sql, ...options });
const write = (sql: string, options = {}) => writeQuery(database.app, { ...usual, sql, ...options });
const names = async () => (await run('SELECT display_name FROM users ORDER BY name')) as { display_name: string }[];
const failure = async (work: Promise<unknown>) => (await work.catch((error: unknown) => error)) as Error;

describe('a question', () => {
  test('is answered with typed columns', async () => {
    const answer =
      await read(`SELECT 1 AS one, 9007199254740993::bigint AS big, 1.50 AS price, 0.5::float8 AS half, true AS yes,
      'a' AS text, NULL AS nothing, timestamptz '2026-01-02 03:04:05.678+01' AS at, date '2026-01-02' AS day,
      '{"a": 1}'::jsonb AS json, ARRAY[1,2] AS list, 1 AS one, interval '1 day' AS span`);
    expect(answer).toEqual({
      type: 'table',
      count: 1,
      empty: 'No rows.',
      columns: [
        ['one', 'integer'],
        ['big', 'integer'],
        ['price', 'number'],
        ['half', 'number'],
        ['yes', 'boolean'],
        ['text', 'string'],
        ['nothing', 'string'],
        ['at', 'date'],
        ['day', 'string'],
        ['json', 'string'],
        ['list', 'string'],
        ['one_2', 'integer'],
        ['span', 'string'],
      ].map(([name, column_type]) => ({ name, label: name, column_type })),
      items: [
        {
          one: 1,
          // What a JavaScript number would not hold as it is written stays text.
          big: '9007199254740993',
          price: '1.50',
          half: 0.5,
          yes: true,
          text: 'a',
          nothing: null,
          at: '2026-01-02T02:04:05.678Z',
          day: '2026-01-02',
          json: '{"a": 1}',
          list: '{1,2}',
          one_2: 1,
          span: '1 day',
        },
      ],
    });
  });

  test.each([
    'SHOW server_version',
    'EXPLAIN SELECT * FROM users',
    'VALUES (1), (2)',
    'TABLE services',
    'WITH a AS (SELECT 1) SELECT * FROM a; -- the end',
  ])('may be %s', async (sql) => {
    expect((await read(sql)).type).toBe('table');
  });

  test('gets as many rows as were asked for, says when there are more, and computes no more', async () => {
    const some = await read('SELECT n FROM generate_series(1, 5) n', { limit: 3 });
    expect(some.items).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(some.notes?.[0]).toContain('first 3');
    expect((await read('SELECT n FROM generate_series(1, 3) n', { limit: 3 })).notes).toBeUndefined();
    // Computing the fifth row would fail.
    const lazy = await read('SELECT 1 / (5 - n) AS x FROM (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 5) a', {
      limit: 1,
    });
    expect(lazy.items).toHaveLength(1);
    const huge = await read('SELECT n FROM users, LATERAL (SELECT generate_series(1, 1000000000) n) a', { limit: 2 });
    expect(huge.items).toHaveLength(2);
  });

  test.each<[string, string]>([
    ["INSERT INTO users (name, display_name, roles) VALUES ('eve', 'Eve', '{}')", 'FORBIDDEN'],
    ['DELETE FROM users', 'FORBIDDEN'],
    ['WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone', 'FORBIDDEN'],
    ['CREATE TABLE mine ()', 'FORBIDDEN'],
    ['CREATE TEMPORARY TABLE mine ()', 'FORBIDDEN'],
    ["SELECT nextval('service_events_id_seq')", 'FORBIDDEN'],
    ['COMMIT; DELETE FROM users', 'USAGE'],
    ['ROLLBACK; BEGIN READ WRITE; DELETE FROM users; COMMIT', 'USAGE'],
    ["SELECT set_config('transaction_read_only', 'off', true)", 'USAGE'],
    ['SET TRANSACTION READ WRITE', 'OK'],
    ['FETCH ALL FROM none', 'USAGE'],
    ['EXECUTE none', 'USAGE'],
    ['DO $$ BEGIN COMMIT; DELETE FROM users; END $$', 'FORBIDDEN'],
    ['DO $$ BEGIN DELETE FROM users; END $$', 'FORBIDDEN'],
    ["SELECT query_to_xml('DELETE FROM users RETURNING 1', true, true, '')", 'USAGE'],
    ['SELECT private_jwe FROM signing_keys', 'FORBIDDEN'],
    ['SELECT * FROM signing_keys', 'FORBIDDEN'],
    [
      "SELECT set_config('role', 'none', false), query_to_xml('SELECT private_jwe FROM signing_keys', true, true, '')",
      'FORBIDDEN',
    ],
    ['SELECT rolpassword FROM pg_authid', 'FORBIDDEN'],
    ["SELECT pg_read_file('/etc/passwd')", 'FORBIDDEN'],
    ["COPY users TO PROGRAM 'cat'", 'FORBIDDEN'],
    ["COPY (SELECT 1) TO '/tmp/sp-out-of-query'", 'FORBIDDEN'],
    ['SELECT * FROM systemprompt_migrations.users', 'FORBIDDEN'],
  ])('%s changes nothing and shows no secret', async (sql, code) => {
    const before = await names();
    const outcome = await read(sql).then(
      () => ({ code: 'OK', message: '' }),
      (error: { code: string; message: string }) => error,
    );
    expect(outcome.code, outcome.message).toBe(code);
    expect(JSON.stringify(outcome)).not.toContain('canary');
    expect(await names()).toEqual(before);
  });

  test('can not be code, which could catch the timeout and go on for ever', async () => {
    const sql = `/* ; */ DO $$ BEGIN FOR i IN 1..3 LOOP BEGIN PERFORM pg_sleep(1);
      EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$`;
    expect(await failure(read(sql, { timeoutMs: 200 }))).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('that takes too long is ended', async () => {
    expect(await failure(read('SELECT pg_sleep(30)', { timeoutMs: 100 }))).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('0.1 s'),
      hint: expect.stringContaining('--timeout'),
    });
  });

  test.each([
    ['SELECT 1,\n  nme FROM users', {}, '2:3  column "nme" does not exist'],
    ["SELECT '😀', x", {}, '1:13  column "x"'],
    ['SELEC 1', { file: 'report.sql' }, 'report.sql:1:1  syntax error'],
    ['SELECT 1/0', {}, 'division by zero'],
  ])('that is wrong is told with its place: %j', async (sql, options, message) => {
    expect(await failure(read(sql, options))).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['SELECT * FROM usres', 'Did you mean users?'],
    ['SELECT * FROM tool_intents', 'Did you mean audit.tool_intents?'],
  ])('about a table that there is not names the nearest: %s', async (sql, hint) => {
    expect(await failure(read(sql))).toMatchObject({ code: 'USAGE', hint, next: ['infra db tables'] });
  });

  test.each(['', '  ', '-- nothing', ';'])('is needed: %j', async (sql) => {
    expect(await failure(read(sql))).toMatchObject({ code: 'USAGE' });
  });
});

describe('what may change data', () => {
  test('does so as the application, and says how much', async () => {
    expect((await write("UPDATE users SET display_name = 'Ada L.' WHERE name = 'ada'")).items).toEqual([
      { statement: 'UPDATE', rows: 1 },
    ]);
    expect((await write("UPDATE users SET display_name = 'Ada' WHERE name = 'ada' RETURNING name")).items).toEqual([
      { name: 'ada' },
    ]);
    expect(await failure(write('DROP TABLE users'))).toMatchObject({ code: 'FORBIDDEN' });
    expect(await failure(write('DELETE FROM audit.tool_intents'))).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('is one transaction: all of it or nothing', async () => {
    const before = await names();
    const attempt = write("UPDATE users SET display_name = 'lost';\nSELECT 1 / 0 AS x;\nSELECT nope", {
      file: 'a.sql',
    });
    expect(await failure(attempt)).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('division by zero'),
    });
    expect(await failure(write("UPDATE users SET display_name = 'lost';\n SELECT nope;"))).toMatchObject({
      message: expect.stringContaining('2:9  column "nope"'),
    });
    for (const word of ['COMMIT', 'ROLLBACK', 'BEGIN', 'END', "PREPARE TRANSACTION 'a'"]) {
      expect(await failure(write(`UPDATE users SET display_name = 'lost'; ${word}; SELECT 1`))).toMatchObject({
        code: 'USAGE',
      });
    }
    expect(await names()).toEqual(before);
    const answer = await write(
      "UPDATE users SET display_name = 'Bobby' WHERE name = 'bob'; SAVEPOINT a; UPDATE users SET display_name = 'x'; ROLLBACK TO a; SELECT display_name FROM users ORDER BY name",
    );
    expect(answer.items).toEqual([{ display_name: 'Ada' }, { display_name: 'Bobby' }]);
    expect(await names()).toEqual([{ display_name: 'Ada' }, { display_name: 'Bobby' }]);
  });
});
