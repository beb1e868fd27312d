import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LogWanted } from '../../../../src/lib/app/logs/entries.ts';
import { newestEntries } from '../../../../src/lib/app/logs/index.ts';
import { ServerLogs } from '../../../../src/lib/app/logs/keeper.ts';
import { AuditReader } from '../../../../src/lib/domain/governance/index.ts';
import { forgetServerLogs } from '../../../../src/lib/domain/mcp/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { logFileOf } from '../../../../src/lib/infra/process/logs.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const instanceId = randomUUID();
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const execution = '01930000-0000-7000-8000-000000000001';
const start = Date.now() - 60_000;
let test: TestDatabase;
let database: Database;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let user: string;
let file: string;
const warnings: unknown[] = [];

const at = (ms: number): string => new Date(start + ms).toISOString();
const write = (ms: number, msg: string, more: object = {}): void =>
  appendFileSync(file, `${JSON.stringify({ level: 'info', time: at(ms), msg, ...more })}\n`);

function open(): ServerLogs {
  return new ServerLogs({
    database,
    logsDir: folder.path,
    servers: ['one', 'absent'],
    directory: {
      endpoint: (name) => (name === 'mcp:one' ? ({ instanceId } as never) : undefined),
      onChange: () => () => {},
    },
    days: 7,
    log: { warn: (fact: unknown) => warnings.push(fact), info: () => {} } as never,
  });
}

/** One look, as at the end of a process. */
async function copy(): Promise<void> {
  await open().close();
}

async function messages(wanted: LogWanted = {}, logsDir = folder.path): Promise<string[]> {
  const audit = new AuditReader(database);
  const rows = {
    database,
    installationId: randomUUID(),
    audit,
    actor: { userId: user, userName: 'ada', scopes: ['admin'], permission: 'admin' } as never,
  };
  const page = await newestEntries({ logsDir, services: ['mcp:one', 'api'], rows }, wanted, 1_000);
  return page.entries.map(({ message }) => message);
}

beforeAll(async () => {
  [test, folder] = await Promise.all([createTestDatabase(), temporaryFolder()]);
  database = openDatabase(test.app, { actor: 'system' });
  [{ id: user }] = (await database.query<{ id: string }>(
    "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{user}') RETURNING id",
  )) as [{ id: string }];
  file = logFileOf(folder.path, 'mcp:one', instanceId);
  mkdirSync(dirname(file));
});
afterAll(async () => {
  await database?.close();
  await test?.drop();
  await folder?.[Symbol.asyncDispose]();
});

it('keeps the lines of servers, without secrets, each once', async () => {
  write(0, 'listening');
  write(1, 'password=hunter2', { user, trace_id: trace, execution });
  write(2, 'of nobody', { user: randomUUID() });
  await copy();
  await copy();
  write(3, 'again');
  await copy();
  const wanted = ['listening', 'password=[redacted]', 'of nobody', 'again'];
  expect(await messages()).toEqual(wanted);
  expect(await messages({ since: at(0), until: at(9) })).toEqual(wanted);
  // The files are gone: what the database has is found all the same.
  expect(await messages({}, '/nonexistent')).toEqual(wanted);
  expect(JSON.stringify(await database.query('SELECT * FROM mcp.server_logs'))).not.toContain('hunter2');
});

it('finds them by server, trace, call and user', async () => {
  for (const logsDir of [folder.path, '/nonexistent']) {
    const found = ['password=[redacted]'];
    expect(await messages({ trace }, logsDir)).toEqual(found);
    expect(await messages({ trace: execution }, logsDir)).toEqual(found);
    expect(await messages({ user }, logsDir)).toEqual(found);
    expect(await messages({ services: ['api'] }, logsDir)).toEqual([]);
    expect(await messages({ sources: ['lines'], services: ['mcp:one'], level: 'warn' }, logsDir)).toEqual([]);
  }
});

it('keeps the other lines beside one that is not what it looks like', async () => {
  write(4, 'a byte \0" that no text has');
  write(5, 'no call', { execution: '-'.repeat(36) });
  write(6, 'no time', { time: 'tomorrow\0' });
  appendFileSync(file, `raw \0 byte\n${JSON.stringify({ level: 'in\0fo', time: at(7), msg: 'no level' })}\n`);
  await copy();
  expect(warnings).toEqual([]);
  const lines = await database.query<{ line: string }>('SELECT line FROM mcp.server_logs WHERE at >= $1 ORDER BY at', [
    at(4),
  ]);
  const text = lines.map(({ line }) => line).join('\n');
  for (const told of ['a byte', 'no call', 'no time', 'raw  byte', 'no level']) expect(text).toContain(told);
});

it('is not filled by a server that floods', async () => {
  const logs = open();
  await logs.close();
  const followed = open();
  for (let line = 0; line < 3_000; line += 1) write(10 + line, `flood ${line}`);
  await followed.close();
  const [row] = await database.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM mcp.server_logs WHERE line LIKE '%flood%'",
  );
  expect(row?.count).toBeLessThanOrEqual(400);
  // Looking at the file as it is loses nothing.
  expect((await messages({ services: ['mcp:one'] })).filter((text) => text.startsWith('flood'))).toHaveLength(1_000);
});

it('forgets what is old, and what is too much', async () => {
  const count = async () => (await database.query('SELECT 1 FROM mcp.server_logs')).length;
  expect(await forgetServerLogs(database, 7, 100_000)).toBe(0);
  await forgetServerLogs(database, 7, 10);
  expect(await count()).toBe(10);
  await forgetServerLogs(database, 0, 10);
  expect(await count()).toBe(0);
  rmSync(file);
  await copy();
  expect(warnings).toEqual([]);
});
