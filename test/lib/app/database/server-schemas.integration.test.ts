import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type ServerPlace,
  serverDatabaseUrl,
  serverSchemas,
} from '../../../../src/lib/app/extensions/server-migrations.ts';
import { refuseSchemas } from '../../../../src/lib/app/extensions/server-schemas.ts';
import type { McpSchemas } from '../../../../src/lib/domain/mcp/index.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { placeOf } from '../../../helpers/database-place.ts';

let database: TestDatabase;
let root: string;
let place: ServerPlace;
beforeEach(async () => {
  database = await createTestDatabase();
  root = await mkdtemp(join(tmpdir(), 'sp-server-schemas-'));
  const { profile, secrets } = placeOf(database);
  place = { instance: { runDir: '/nonexistent', root }, profile, secrets, packageRoot: '/nonexistent' };
  await write('manifest.yaml', 'extension: {}');
  await write('migrations/001_note.sql', 'CREATE TABLE note (text text);\n-- Down Migration\nDROP TABLE note;\n');
  await write('schema/tag.sql', 'CREATE TABLE tag (name text, colour text); CREATE INDEX ON tag (name)');
  await write('schema/broken.sql', 'CREATE TABLE half (name text); CREATE TABEL other (name text)');
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

function server(mode: McpSchemas['mode'], ...tables: readonly (readonly [string, string[], string?])[]) {
  const entries = tables.map(([table, requiredColumns, file], index) => ({
    table,
    requiredColumns,
    ...(file === undefined ? {} : { file }),
    at: { file: 'notes.yaml', line: 10 + index, column: 7 },
  }));
  return { name: 'notes', module: 'extensions/mcp/notes', schemas: { mode, tables: entries } };
}

test('one report tells what is as declared, what was made and what is wrong, each with its place', async () => {
  const declared = server(
    'strict',
    ['note', ['text']],
    ['tag', ['name', 'colour'], 'schema/tag.sql'],
    ['note', ['text', 'mood', 'due']],
    ['nowhere', []],
    ['half', [], 'schema/broken.sql'],
    ['away', [], '../../../away.sql'],
  );
  expect((await serverSchemas(place, declared, true)).errors).toMatchObject([
    { line: 10, message: 'notes has no database yet' },
  ]);
  await serverDatabaseUrl(place, declared);

  const looked = await serverSchemas(place, declared, false);
  expect(looked).toMatchObject({ validated: 1, created: [] });
  expect(looked.errors.map(({ line }) => line)).toEqual([11, 12, 13, 14, 15]);

  const report = await serverSchemas(place, declared, true);
  expect(report).toMatchObject({ server: 'notes', mode: 'strict', validated: 2, created: ['tag'] });
  expect(report.errors.map(({ line, message }) => `${line} ${message}`)).toEqual([
    '14 the file schema/broken.sql fails: syntax error at or near "TABEL"',
    '15 the file ../../../away.sql is not in the folder of notes',
    '12 the table mcp_notes.note lacks mood, due',
    '13 the table mcp_notes.nowhere does not exist',
  ]);
  expect(() => refuseSchemas(report)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));

  // Once made it is there; what failed left nothing behind.
  expect(await serverSchemas(place, declared, true)).toMatchObject({ validated: 2, created: [] });
});

test('warn tells and lets pass, skip does not look', async () => {
  const warned = server('warn', ['nowhere', []]);
  await serverDatabaseUrl(place, warned);
  const report = await serverSchemas(place, warned, true);
  expect(report.errors).toHaveLength(1);
  expect(() => refuseSchemas(report)).not.toThrow();
  expect(await serverSchemas(place, server('skip', ['nowhere', []]), true)).toEqual({
    server: 'notes',
    mode: 'skip',
    validated: 0,
    created: [],
    errors: [],
  });
});
