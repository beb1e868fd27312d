import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { coreExtensions } from '../../../../src/lib/app/extensions/core.ts';
import { migrate, migrationStatus } from '../../../../src/lib/infra/database/migrate.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import type { Extension } from '../../../../src/lib/shared/extension.ts';
import { createTestDatabase, migrationsRoot, type TestDatabase } from '../../../helpers/database.ts';

const base: Extension = { id: 'base', version: '1.0.0', migrations: 'base' };
const above: Extension = { id: 'above', version: '1.0.0', migrations: 'above', dependencies: ['base'] };

describe('migrations', () => {
  let database: TestDatabase;
  let root: string;
  beforeEach(async () => {
    database = await createTestDatabase({ migrated: false });
    root = await mkdtemp(join(tmpdir(), 'sp-migrations-'));
    await write('base/001_first.sql', 'CREATE TABLE one (id int PRIMARY KEY);');
    await write('above/001_needs_base.sql', 'CREATE TABLE two (id int REFERENCES one);');
  });
  afterEach(async () => {
    await database.drop();
    await rm(root, { recursive: true, force: true });
  });

  const write = async (file: string, sql: string) => {
    await mkdir(join(root, file, '..'), { recursive: true });
    await writeFile(join(root, file), sql);
  };
  const query = (sql: string) => withSession(database.owner, {}, (session) => session.query(sql));

  test('run in dependency order whatever the order given, once, and are reported', async () => {
    const report = await migrate(database.owner, [above, base], root);
    expect(report.applied.map(({ extension, name }) => `${extension}/${name}`)).toEqual([
      'base/001_first',
      'above/001_needs_base',
    ]);
    expect(report.applied.every(({ ms }) => ms > 0)).toBe(true);
    expect(await migrate(database.owner, [above, base], root)).toEqual({ applied: [], pending: [] });
  });

  test('status tells what is there and what is pending, and changes nothing', async () => {
    expect(await migrationStatus(database.owner, [base, above], root)).toEqual({
      applied: [],
      pending: [
        { extension: 'base', name: '001_first' },
        { extension: 'above', name: '001_needs_base' },
      ],
    });
    await migrate(database.owner, [base], root);
    const status = await migrationStatus(database.owner, [base, above], root);
    expect(status.applied).toMatchObject([{ extension: 'base', name: '001_first', appliedAt: expect.any(Date) }]);
    expect(Math.abs((status.applied[0]?.appliedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(status.pending).toEqual([{ extension: 'above', name: '001_needs_base' }]);
  });

  test('an applied file that was edited is refused by its name, and nothing else is applied', async () => {
    await migrate(database.owner, [base], root);
    await write('base/001_first.sql', 'CREATE TABLE one (id bigint PRIMARY KEY);');
    const attempt = migrate(database.owner, [base, above], root);
    await expect(attempt).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('001_first.sql'),
    });
    expect(await query("SELECT to_regclass('two') AS two")).toEqual([{ two: null }]);
  });

  test('other line ends are no edit', async () => {
    await write('base/001_first.sql', 'CREATE TABLE one (\nid int PRIMARY KEY);\n');
    await migrate(database.owner, [base], root);
    await write('base/001_first.sql', 'CREATE TABLE one (\r\nid int PRIMARY KEY);\r\n');
    expect((await migrate(database.owner, [base], root)).applied).toEqual([]);
  });

  test('an applied file that is gone is refused by its name', async () => {
    await migrate(database.owner, [base, above], root);
    await rm(join(root, 'above/001_needs_base.sql'));
    await expect(migrate(database.owner, [base, above], root)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('above/001_needs_base.sql'),
    });
  });

  test('a new file before an applied one is refused', async () => {
    await write('base/003_third.sql', 'SELECT 1;');
    await migrate(database.owner, [base], root);
    await write('base/002_late.sql', 'SELECT 1;');
    await expect(migrate(database.owner, [base], root)).rejects.toMatchObject({
      message: expect.stringContaining('002_late.sql'),
    });
  });

  test('a name without a number, and a number twice, are findings with the file', async () => {
    await write('base/fix.sql', 'SELECT 1;');
    await expect(migrate(database.owner, [base], root)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await rm(join(root, 'base/fix.sql'));
    await write('base/001_again.sql', 'SELECT 1;');
    await expect(migrate(database.owner, [base], root)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('a failing one is rolled back whole, names file and line, and those before it stay', async () => {
    await write('base/002_broken.sql', 'CREATE TABLE half ();\n-- a comment\nSELEC 1;\n');
    const attempt = migrate(database.owner, [base, above], root);
    await expect(attempt).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/002_broken\.sql:3 .*syntax error/),
    });
    expect(
      await query("SELECT to_regclass('one')::text AS one, to_regclass('half') AS half, to_regclass('two') AS two"),
    ).toEqual([{ one: 'one', half: null, two: null }]);
    await write('base/002_broken.sql', 'CREATE TABLE half ();\n');
    const report = await migrate(database.owner, [base, above], root);
    expect(report.applied.map(({ name }) => name)).toEqual(['002_broken', '001_needs_base']);
  });

  test('four runners at once: each migration is applied once, and all come back', async () => {
    await write('base/002_slow.sql', 'DO $$ BEGIN PERFORM pg_sleep(0.2); END $$;');
    const reports = await Promise.all(Array.from({ length: 4 }, () => migrate(database.owner, [base, above], root)));
    expect(reports.flatMap((report) => report.applied.map(({ name }) => name)).sort()).toEqual([
      '001_first',
      '001_needs_base',
      '002_slow',
    ]);
    expect(reports.filter((report) => report.applied.length > 0)).toHaveLength(1);
  });

  test('a second runner waits no longer than told', async () => {
    await withSession(database.owner, {}, async (session) => {
      const [me] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await session.query("SET application_name = 'a stranger'; SELECT pg_advisory_lock(7365112900432)");
      await expect(migrate(database.owner, [base], root, { lockWaitMs: 100 })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringContaining(`process ${me?.pid} (role ${database.owner.user}, application "a stranger")`),
        hint: expect.stringContaining(`pg_terminate_backend(${me?.pid})`),
      });
    });
    expect((await migrate(database.owner, [base], root)).applied).toHaveLength(1);
  });

  test('a table that somebody holds blocks a migration no longer than told, and who holds it is named', async () => {
    await migrate(database.owner, [base], root);
    await withSession(database.owner, { applicationName: 'holder' }, async (session) => {
      await session.query('BEGIN; LOCK TABLE one IN ACCESS EXCLUSIVE MODE');
      await expect(migrate(database.owner, [base, above], root, { lockWaitMs: 200 })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(/above\/001_needs_base\.sql waited 0\.2 s .*application "holder"/),
      });
    });
    expect((await migrate(database.owner, [base, above], root)).applied).toHaveLength(1);
  });

  test("the core's own: from nothing to all, then nothing to do in a few milliseconds", async () => {
    const report = await migrate(database.owner, coreExtensions, migrationsRoot);
    expect(report.applied.length).toBeGreaterThanOrEqual(4);
    const started = performance.now();
    expect((await migrate(database.owner, coreExtensions, migrationsRoot)).applied).toEqual([]);
    expect(performance.now() - started).toBeLessThan(250);
    const edited = join(root, 'core');
    await cp(migrationsRoot, edited, { recursive: true });
    const file = join(edited, 'users/001_users.sql');
    await writeFile(file, `${await readFile(file, 'utf8')}-- edited\n`);
    await expect(migrate(database.owner, coreExtensions, edited)).rejects.toMatchObject({ data: { file } });
  });

  test.each([
    ['a missing dependency', [above], /base/],
    ['a circle', [{ ...base, dependencies: ['above'] }, above], /circle/],
    ['an id twice', [base, base], /same id/],
  ])('%s is refused before anything runs', async (_, extensions, message) => {
    await expect(migrate(database.owner, extensions, root)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(message),
    });
  });
});
