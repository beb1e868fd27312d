import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planRollback } from '../../../../src/lib/app/database/rollback.ts';
import {
  migrateServers,
  type ServerPlace,
  serverDatabaseUrl,
  serverMigrations,
} from '../../../../src/lib/app/extensions/server-migrations.ts';
import { parseConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';
import { rollBack } from '../../../../src/lib/infra/database/rollback.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { placeOf } from '../../../helpers/database-place.ts';

const notes = { name: 'notes', module: 'extensions/mcp/notes' };

let database: TestDatabase;
let root: string;
let place: ServerPlace;
beforeEach(async () => {
  database = await createTestDatabase();
  root = await mkdtemp(join(tmpdir(), 'sp-server-migrations-'));
  const { profile, secrets } = placeOf(database);
  place = { instance: { runDir: '/nonexistent', root }, profile, secrets, packageRoot: '/nonexistent' };
  await write('manifest.yaml', 'extension: {}');
  await write('migrations/001_note.sql', 'CREATE TABLE note (text text);\n-- Down Migration\nDROP TABLE note;\n');
  await write(
    'migrations/002_mood.sql',
    'ALTER TABLE note ADD mood text;\n\n-- Down Migration\nALTER TABLE note\n  DROP mood;\n',
  );
});
afterEach(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

async function write(file: string, text: string): Promise<void> {
  const path = join(root, 'extensions/mcp/notes', file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
const run = (sql: string) => withSession(database.admin, {}, (session) => session.query<Record<string, unknown>>(sql));
const columns = async () =>
  (
    await run(
      "SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass('mcp_notes.note') AND attnum > 0 AND NOT attisdropped",
    )
  ).map((row) => row['name']);
const plan = (wish: { extension?: string; to?: number; steps?: number }) =>
  planRollback(place, [notes], { steps: 1, ...wish });
const nothing = () => {};

describe('the migrations of an MCP server', () => {
  test('run as its own role in its own schema, once, and are reported', async () => {
    expect(await serverMigrations(place, [notes])).toMatchObject([
      { id: 'mcp:notes', applied: [], pending: [{ name: '001_note' }, { name: '002_mood' }] },
    ]);
    expect((await migrateServers(place, [notes])).map(({ extension, name }) => `${extension}/${name}`)).toEqual([
      'mcp:notes/001_note',
      'mcp:notes/002_mood',
    ]);
    expect(await migrateServers(place, [notes])).toEqual([]);
    expect(await columns()).toEqual(['text', 'mood']);
    expect(
      await run(
        "SELECT relname AS name, pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'mcp_notes'::regnamespace AND relkind = 'r' ORDER BY 1",
      ),
    ).toEqual([
      { name: 'note', owner: `sp_${database.name}_mcp_notes` },
      { name: 'systemprompt_migrations', owner: `sp_${database.name}_mcp_notes` },
    ]);
    expect(await serverMigrations(place, [notes])).toMatchObject([
      { applied: [{ name: '001_note' }, { name: '002_mood' }], pending: [] },
    ]);
  });

  test('are applied before it gets its DATABASE_URL; two processes of it at once do it once', async () => {
    const urls = await Promise.all([1, 2, 3].map(() => serverDatabaseUrl(place, notes)));
    expect(new Set(urls).size).toBe(1);
    await withSession(parseConnectionUrl(urls[0] ?? ''), {}, (session) =>
      session.query("INSERT INTO note (mood) VALUES ('good')"),
    );
  });

  test('can reach nothing of the core', async () => {
    await write('migrations/003_greedy.sql', 'SELECT 1;\nCREATE TABLE mine AS SELECT * FROM public.users;');
    await expect(migrateServers(place, [notes])).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/003_greedy\.sql:2 .*permission denied/),
    });
    expect(await columns()).toEqual(['text', 'mood']);
  });

  test('are checked as the core’s: an edited one is refused', async () => {
    await migrateServers(place, [notes]);
    await write('migrations/001_note.sql', 'CREATE TABLE note (text varchar);');
    await expect(serverDatabaseUrl(place, notes)).rejects.toMatchObject({
      message: expect.stringContaining('001_note.sql'),
    });
  });

  test.each([
    ['extensions/mcp/notes/index.js', ['mcp:notes']],
    ['extensions/mcp/notes/dist/index.js', ['mcp:notes']],
    ['server.mjs', []],
  ])('lie beside the manifest of its module: %s', async (module, ids) => {
    await mkdir(join(root, 'migrations'), { recursive: true });
    await writeFile(join(root, 'migrations/001_other.sql'), 'SELECT 1');
    expect((await serverMigrations(place, [{ name: 'notes', module }])).map(({ id }) => id)).toEqual(ids);
  });
});

describe('a rollback', () => {
  test('takes back the last ones, the newest first, and they can be applied again', async () => {
    await migrateServers(place, [notes]);
    const last = await plan({});
    expect(last.map(({ file }) => file.name)).toEqual(['002_mood']);
    const done: string[] = [];
    await rollBack(last, ({ name }) => done.push(name));
    expect(done).toEqual(['002_mood']);
    expect(await columns()).toEqual(['text']);
    expect(await serverMigrations(place, [notes])).toMatchObject([
      { applied: [{ name: '001_note' }], pending: [{ name: '002_mood' }] },
    ]);
    expect(await migrateServers(place, [notes])).toHaveLength(1);
    const all = await plan({ extension: 'mcp:notes', to: 0 });
    expect(all.map(({ file }) => file.name)).toEqual(['002_mood', '001_note']);
    await rollBack(all, nothing);
    expect(await columns()).toEqual([]);
    expect((await plan({ steps: 3 })).map(({ file }) => file.extension)).not.toContain('mcp:notes');
  });

  test('down to a number keeps that number', async () => {
    await migrateServers(place, [notes]);
    expect((await plan({ extension: 'mcp:notes', to: 1 })).map(({ file }) => file.name)).toEqual(['002_mood']);
    expect(await plan({ extension: 'mcp:notes', to: 2 })).toEqual([]);
  });

  test('of what has no down part is refused before anything is done, and says what to do', async () => {
    await migrateServers(place, [notes]);
    await expect(rollBack(await plan({ steps: 4 }), nothing)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining("can't be taken back"),
      hint: expect.stringContaining('backup'),
    });
    expect(await columns()).toEqual(['text', 'mood']);
  });

  test('that fails leaves the migration applied, and names file and line', async () => {
    await write(
      'migrations/003_bad.sql',
      'SELECT 1;\n-- Down Migration\nALTER TABLE note DROP text;\nALTER TABLE nope DROP x;\n',
    );
    await migrateServers(place, [notes]);
    await expect(rollBack(await plan({}), nothing)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/003_bad\.sql:\d+ .*nope/),
    });
    expect(await columns()).toEqual(['text', 'mood']);
    expect((await plan({})).map(({ file }) => file.name)).toEqual(['003_bad']);
  });

  test('of an extension that nobody knows names the nearest', async () => {
    await migrateServers(place, [notes]);
    await expect(plan({ extension: 'mcp:note' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean mcp:notes?',
    });
  });
});
