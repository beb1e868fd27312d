import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backup } from '../../../../src/lib/app/database/backup.ts';
import type { DatabasePlace } from '../../../../src/lib/app/database/connections.ts';
import { emptyDatabase } from '../../../../src/lib/app/database/reset.ts';
import { planRestore, prepareRestore, restore } from '../../../../src/lib/app/database/restore.ts';
import { coreExtensions } from '../../../../src/lib/app/extensions/core.ts';
import type { ConnectionConfig } from '../../../../src/lib/infra/database/connection.ts';
import { parseConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';
import { mcpConnectionUrl } from '../../../../src/lib/infra/database/connections.ts';
import { quoteIdentifier as id } from '../../../../src/lib/infra/database/identifiers.ts';
import { migrate } from '../../../../src/lib/infra/database/migrate.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { createTestDatabase, migrationsRoot, type TestDatabase } from '../../../helpers/database.ts';
import { placeOf } from '../../../helpers/database-place.ts';
import { dumpSchema } from '../../../helpers/schema-dump.ts';

const extensions = coreExtensions.filter(({ migrations }) => migrations !== undefined).map((extension) => extension.id);
const source = { extensions: coreExtensions, migrationsRoot };
const usual = { version: '1.2.3', extensions, lockWaitMs: 5000 };
const run = (config: ConnectionConfig, sql: string) =>
  withSession(config, {}, (session) => session.query<Record<string, unknown>>(sql));

/** Every row of every table of ours, and where every sequence stands. */
async function contentOf(database: TestDatabase): Promise<Record<string, string[]>> {
  const tables = (await run(
    database.admin,
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'S') AND n.nspname !~ '^(pg_|information_schema$)' ORDER BY 1`,
  )) as { name: string; kind: string }[];
  const content: Record<string, string[]> = {};
  for (const { name, kind } of tables) {
    const row = kind === 'S' ? "last_value || ' ' || is_called" : 't::text';
    const rows = await run(database.admin, `SELECT ${row} AS row FROM ${name} t ORDER BY 1`);
    content[name] = rows.map((found) => String(found['row']));
  }
  return content;
}

const schemaOf = async (database: TestDatabase) =>
  (await dumpSchema(database.admin)).replaceAll(`sp_${database.name}_`, 'sp_DATABASE_');

/** Things that a copy could get wrong: control characters, nulls, empty tables, generated columns, keys in a circle. */
async function furnish(database: TestDatabase, place: DatabasePlace): Promise<void> {
  await run(
    database.owner,
    `INSERT INTO users (name, display_name, roles, email) VALUES ('ada', E'A\\tda\\n\\\\. "x" \u00e9U0001f600', '{admin,user}', NULL), ('bob', '\\N', '{}', 'b@example.com');
     INSERT INTO user_sessions (user_id, client, expires_at) SELECT id, 'cli', now() + interval '1 hour' FROM users;
     INSERT INTO signing_keys (kid, alg, status, public_jwk, private_jwe) VALUES ('k', 'ES256', 'next', '{"kty": "EC"}', 'sealed');
     INSERT INTO service_events (installation_id, service, generation, from_state, to_state, event, epoch, at)
       SELECT gen_random_uuid(), 'api', n, 'a', 'b', 'c', n, now() FROM generate_series(1, 500) n;
     INSERT INTO audit.tool_intents SELECT gen_random_uuid(), gen_random_uuid(), 'notes', 'add', 'u', 'ada', 's', NULL, '{user}', '{}', repeat('0', 64),
         jsonb_build_object('text', repeat(chr(9) || chr(10) || chr(92), n)), 'allowed', now() FROM generate_series(1, 200) n;`,
  );
  const mcp = parseConnectionUrl(await mcpConnectionUrl(place.instance, place.profile, place.secrets, 'notes'));
  await run(
    mcp,
    `CREATE TYPE mood AS ENUM ('good', 'it''s bad');
     CREATE DOMAIN short AS text CHECK (length(VALUE) < 100);
     CREATE SEQUENCE ticket INCREMENT 5 START 100;
     CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(t) $$;
     CREATE TABLE note (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       number int NOT NULL DEFAULT nextval('ticket'),
       serial serial,
       "Odd ""name""" short,
       mood mood NOT NULL DEFAULT 'good',
       loud text GENERATED ALWAYS AS (shout("Odd ""name""")) STORED,
       parent bigint REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED,
       tags text[] NOT NULL DEFAULT '{}', body bytea, price numeric(10,2) CHECK (price >= 0), UNIQUE (number, serial));
     CREATE INDEX note_mood ON note (mood) WHERE parent IS NULL;
     CREATE TABLE empty (); CREATE TABLE bare ();
     INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES;
     CREATE VIEW loud_notes AS SELECT n.id, n.loud FROM note n;
     CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) AS notes FROM note GROUP BY mood;
     CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.price := coalesce(NEW.price, 0) + 1; RETURN NEW; END $$;
     CREATE TRIGGER touched BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION touched();
     COMMENT ON TABLE note IS 'what people note'; COMMENT ON COLUMN note.mood IS 'theirs';
     GRANT USAGE ON SCHEMA mcp_notes TO systemprompt_reader; GRANT SELECT ON note TO systemprompt_reader;
     INSERT INTO note ("Odd ""name""", mood, parent, tags, body, price) SELECT 'n' || n, CASE n % 2 WHEN 0 THEN 'good' ELSE 'it''s bad' END::mood,
       CASE WHEN n < 50 THEN n + 1 END, ARRAY['a,b', NULL, '"'], decode(md5(n::text), 'hex'), n FROM generate_series(1, 50) n;
     REFRESH MATERIALIZED VIEW moods`,
  );
}

let folder: string;
let original: TestDatabase;
let place: DatabasePlace;
let file: string;
const databases: TestDatabase[] = [];
const another = async (options = {}): Promise<TestDatabase> => {
  const database = await createTestDatabase(options);
  databases.push(database);
  return database;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sp-backup-'));
  original = await another();
  place = placeOf(original);
  await furnish(original, place);
  file = join(folder, 'all.backup');
  await backup(place, { ...usual, path: file });
});
afterAll(async () => {
  for (const database of databases) await database.drop();
  await rm(folder, { recursive: true, force: true });
});

async function bringBack(target: DatabasePlace, path = file): Promise<number> {
  const request = { ...source, path };
  const plan = await planRestore(request);
  await prepareRestore(target, plan);
  return await restore(target, plan, request);
}

describe('a backup', () => {
  test('brings everything back into another database: every row, sequence, and the schema', async () => {
    const copy = await another({ migrated: false });
    await bringBack(placeOf(copy));
    expect(await contentOf(copy)).toEqual(await contentOf(original));
    expect(await schemaOf(copy)).toBe(await schemaOf(original));
    // It goes on working: triggers and keys are as they were, the next number is a new one.
    await expect(run(copy.owner, 'DELETE FROM service_events')).rejects.toThrow('append-only');
    await expect(run(copy.owner, "UPDATE users SET roles = '{nobody}'")).rejects.toThrow('check');
    await run(
      copy.owner,
      "INSERT INTO service_events (installation_id, service, generation, from_state, to_state, event, epoch, at) VALUES (gen_random_uuid(), 'a', 1, 'a', 'b', 'c', 1, now())",
    );
    expect(await run(copy.owner, 'SELECT max(id) AS id FROM service_events')).toEqual([{ id: 501 }]);
    expect((await migrate(copy.owner, coreExtensions, migrationsRoot)).applied).toEqual([]);
  });

  test('takes the place of whatever the database holds, also what came after it', async () => {
    const used = await another();
    await run(
      used.owner,
      "CREATE TABLE stranger (); INSERT INTO users (name, display_name, roles) VALUES ('eve', 'E', '{}')",
    );
    await run(
      used.owner,
      'CREATE SCHEMA more; CREATE TABLE more.of_it (); CREATE TYPE kind AS ENUM (); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    );
    const usedPlace = placeOf(used);
    const mcp = parseConnectionUrl(
      await mcpConnectionUrl(usedPlace.instance, usedPlace.profile, usedPlace.secrets, 'other'),
    );
    await run(mcp, 'CREATE TABLE mine (); CREATE VIEW seen AS SELECT 1');
    await bringBack(usedPlace);
    const { [`mcp_other.mine`]: gone, ...content } = await contentOf(used);
    expect(gone).toBeUndefined();
    expect(content).toEqual(await contentOf(original));
  });

  test('is one moment, while others write and a table of the core refers to another', async () => {
    const busy = await another();
    await run(busy.owner, "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{}')");
    const path = join(folder, 'busy.backup');
    let writing = true;
    const write = (async () => {
      for (let n = 0; writing; n += 1) {
        // A session comes with its user: a backup that saw one and not the other would not come back.
        await run(
          busy.owner,
          `BEGIN; INSERT INTO users (name, display_name, roles) VALUES ('u${n}', 'U', '{}');
           INSERT INTO user_sessions (user_id, client, expires_at) SELECT id, 'cli', now() FROM users WHERE name = 'u${n}'; COMMIT`,
        );
      }
      return;
    })();
    await backup(placeOf(busy), { ...usual, path });
    writing = false;
    await write;
    const copy = await another({ migrated: false });
    await bringBack(placeOf(copy), path);
    const [row] = await run(
      copy.owner,
      'SELECT (SELECT count(*) FROM users) - (SELECT count(*) FROM user_sessions) AS more',
    );
    expect(row).toEqual({ more: 1 });
  });

  test('is a file of its owner alone, whole or not there, and replaces none', async () => {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(backup(place, { ...usual, path: file })).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(backup(place, { ...usual, path: join(folder, 'no', 'such') })).rejects.toMatchObject({
      code: 'PRECONDITION',
    });
    const stop = new AbortController();
    const attempt = backup(place, {
      ...usual,
      path: join(folder, 'cut.backup'),
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(attempt).rejects.toThrow('abort');
    expect((await readdir(folder)).filter((name) => name.includes('cut') || name.endsWith('.tmp'))).toEqual([]);
  });

  test('holds no password of a role, and of keys only the sealed half', async () => {
    const text = gunzipSync(await readFile(file)).toString('latin1');
    expect(text).toContain('sealed');
    expect(text).not.toContain(original.owner.password);
    expect(text).not.toContain('SCRAM-SHA-256');
  });

  test('waits for a migration no longer than told', async () => {
    await withSession(original.owner, { applicationName: 'a migration' }, async (session) => {
      await session.query('SELECT pg_advisory_lock(7365112900432)');
      const path = join(folder, 'late.backup');
      await expect(backup(place, { ...usual, path, lockWaitMs: 100 })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringContaining('a migration'),
      });
      expect(existsSync(path)).toBe(false);
    });
  });

  test('says what of an MCP server it can not take along', async () => {
    const database = await another({ migrated: false });
    const own = placeOf(database);
    const mcp = parseConnectionUrl(await mcpConnectionUrl(own.instance, own.profile, own.secrets, 'parts'));
    await run(
      mcp,
      'CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (9)',
    );
    await migrate(database.owner, coreExtensions, migrationsRoot);
    const report = await backup(own, { ...usual, path: join(folder, 'parts.backup') });
    expect(report.skipped).toEqual(['table mcp_parts.parted, which is partitioned, with its rows']);
    const copy = await another({ migrated: false });
    await bringBack(placeOf(copy), report.path);
  });
});

describe('a restore', () => {
  const damaged = async (change: (bytes: Buffer) => Buffer): Promise<string> => {
    const path = join(folder, `${randomBytes(4).toString('hex')}.backup`);
    await writeFile(path, change(await readFile(file)));
    return path;
  };
  const edited = (change: (text: string) => string) =>
    damaged((bytes) => gzipSync(Buffer.from(change(gunzipSync(bytes).toString('latin1')), 'latin1')));

  test.each<[string, () => Promise<string>, RegExp]>([
    ['that is cut off', () => damaged((bytes) => bytes.subarray(0, bytes.length / 2)), /cut off/],
    [
      'with a byte that changed',
      () =>
        damaged((bytes) => {
          const copy = Buffer.from(bytes);
          copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 0xff;
          return copy;
        }),
      /damaged|sum|no record|cut off/,
    ],
    ['with a row that was edited', () => edited((text) => text.replace('b@example.com', 'c@example.com')), /sum/],
    ['without its end', () => edited((text) => text.slice(0, text.lastIndexOf('{"type":"sum"'))), /end is missing/],
    ['with something behind it', () => edited((text) => `${text}more\n`), /behind its end/],
    ['that is none', () => damaged(() => Buffer.from('SELECT 1')), /no backup/],
    ['that is empty', () => damaged(() => Buffer.alloc(0)), /cut off/],
    ['of a newer format', () => edited((text) => text.replace('backup 1', 'backup 2')), /format 2/],
  ])('refuses a file %s', async (_, make, message) => {
    await expect(planRestore({ ...source, path: await make() })).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(message),
    });
  });

  test('refuses a file that is not there', async () => {
    await expect(planRestore({ ...source, path: join(folder, 'nope') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('of an older backup brings its level back, and the migrations beyond it are applied to its rows', async () => {
    const older = await another({ migrated: false });
    const root = join(folder, 'older');
    for (const extension of extensions) {
      const from = join(migrationsRoot, extension);
      const [first = ''] = (await readdir(from)).sort();
      await mkdir(join(root, extension), { recursive: true });
      await copyFile(join(from, first), join(root, extension, first));
    }
    await migrate(older.owner, coreExtensions, root);
    await run(older.owner, "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{}')");
    const path = join(folder, 'older.backup');
    await backup(placeOf(older), { ...usual, path });
    const plan = await planRestore({ ...source, path });
    expect(plan.later.length).toBeGreaterThan(0);
    const target = await another();
    await bringBack(placeOf(target), path);
    const { applied } = await migrate(target.owner, coreExtensions, migrationsRoot);
    expect(applied.map(({ name }) => name)).toEqual(plan.later.map(({ name }) => name));
    expect(await run(target.reader, 'SELECT name FROM users')).toEqual([{ name: 'ada' }]);
    // And the other way round: the newer one is not for the older version.
    await expect(planRestore({ extensions: coreExtensions, migrationsRoot: root, path: file })).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('does not know'),
      hint: expect.stringContaining('1.2.3'),
    });
  });

  test('refuses while somebody uses the database, and says who', async () => {
    const used = await another();
    await withSession(used.app, { applicationName: 'systemprompt api' }, async () => {
      await expect(bringBack(placeOf(used))).rejects.toMatchObject({
        code: 'PRECONDITION',
        message: expect.stringContaining('systemprompt api'),
        next: ['infra services stop'],
      });
    });
  });

  test('that fails half-way leaves everything as it was', async () => {
    const used = await another();
    const usedPlace = placeOf(used);
    const mcp = parseConnectionUrl(
      await mcpConnectionUrl(usedPlace.instance, usedPlace.profile, usedPlace.secrets, 'notes'),
    );
    await run(mcp, "CREATE TABLE mine (t text); INSERT INTO mine VALUES ('kept')");
    await run(used.owner, "INSERT INTO users (name, display_name, roles) VALUES ('eve', 'Eve', '{}')");
    const before = [await contentOf(used), await schemaOf(used)];
    const request = { ...source, path: file };
    const plan = await planRestore(request);
    const stop = new AbortController();
    const late = { ...request, signal: stop.signal, onProgress: () => stop.abort() };
    await expect(restore(usedPlace, plan, late)).rejects.toThrow('abort');
    // The very last statement of all.
    const bad = {
      ...plan,
      manifest: { ...plan.manifest, sequences: [{ schema: 'public', name: 'nope', value: '1', called: true }] },
    };
    await expect(restore(usedPlace, bad, request)).rejects.toThrow('nope');
    expect([await contentOf(used), await schemaOf(used)]).toEqual(before);
  });
});

test('an empty database has nothing of ours, and is made anew by the migrations', async () => {
  const used = await another();
  const usedPlace = placeOf(used);
  await furnish(used, usedPlace);
  await emptyDatabase(usedPlace);
  expect(await contentOf(used)).toEqual({});
  expect((await migrate(used.owner, coreExtensions, migrationsRoot)).applied.length).toBeGreaterThan(4);
  const fresh = await another();
  const fill = placeOf(fresh);
  await mcpConnectionUrl(fill.instance, fill.profile, fill.secrets, 'notes');
  await run(
    parseConnectionUrl(await mcpConnectionUrl(fill.instance, fill.profile, fill.secrets, 'notes')),
    `GRANT USAGE ON SCHEMA ${id('mcp_notes')} TO systemprompt_reader`,
  );
  expect(await schemaOf(used)).toBe(await schemaOf(fresh));
});
