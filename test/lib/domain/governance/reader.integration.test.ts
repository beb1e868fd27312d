import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newExecutionId } from '../../../../src/lib/domain/governance/execution-id.ts';
import { AuditReader, type IntentRow } from '../../../../src/lib/domain/governance/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { ForbiddenError, NotFoundError, UsageError } from '../../../../src/lib/shared/errors.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { intentRow, openWriter, outcomeRow } from './audit-store.ts';

let test: TestDatabase;
let app: Database;
let reader: AuditReader;
/** Oldest first: six of ada's, then three of bob's, then one that is still open. */
const rows: IntentRow[] = [];
const start = Date.now() - 100_000;

const actor = (userName: string, permission: Actor['permission']): Actor => ({
  userId: userName as UserId,
  userName,
  scopes: [permission],
  permission,
});
const admin = actor('root', 'admin');
const ada = actor('ada', 'user');

beforeAll(async () => {
  test = await createTestDatabase();
  app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  reader = new AuditReader(app);
  await using store = await openWriter(test.audit);
  for (let index = 0; index < 10; index += 1) {
    const startedAt = start + index * 1_000;
    const user = index < 6 ? 'ada' : 'bob';
    rows.push(
      intentRow({
        executionId: newExecutionId(startedAt),
        startedAt,
        userId: user,
        userName: user,
        tool: index % 2 === 0 ? 'even' : 'odd',
      }),
    );
  }
  for (const [index, row] of rows.entries()) {
    await store.writer.intent(row);
    if (index < 9)
      await store.writer.outcome(outcomeRow(row.executionId, index === 3 ? { status: 'failed', error: 'why' } : {}));
  }
});
afterAll(async () => {
  await app.close();
  await test.drop();
});

const ids = (...indexes: number[]) => indexes.map((index) => rows[index]?.executionId);

describe('AuditReader', () => {
  it('lists from the newest to the oldest, page by page', async () => {
    const first = await reader.list(admin, { limit: 4 });
    expect(first.entries.map((entry) => entry.executionId)).toEqual(ids(9, 8, 7, 6));
    const second = await reader.list(admin, { limit: 4, cursor: first.nextCursor });
    expect(second.entries.map((entry) => entry.executionId)).toEqual(ids(5, 4, 3, 2));
    const last = await reader.list(admin, { limit: 4, cursor: second.nextCursor });
    expect(last.entries.map((entry) => entry.executionId)).toEqual(ids(1, 0));
    expect(last.nextCursor).toBeUndefined();
  });

  it('narrows by tool, status, user and time', async () => {
    const found = async (filter: Parameters<AuditReader['list']>[1]) =>
      (await reader.list(admin, filter)).entries.map((entry) => entry.executionId);
    expect(await found({ tool: 'even', user: 'bob' })).toEqual(ids(8, 6));
    expect(await found({ status: 'failed' })).toEqual(ids(3));
    expect(await found({ status: 'open' })).toEqual(ids(9));
    expect(await found({ server: 'none' })).toEqual([]);
    expect(await found({ since: new Date(start + 8_000) })).toEqual(ids(9, 8));
  });

  it('shows everybody their own calls only, and an admin all', async () => {
    expect((await reader.list(ada)).entries.map((entry) => entry.executionId)).toEqual(ids(5, 4, 3, 2, 1, 0));
    expect((await reader.list(ada, { user: 'ada' })).entries).toHaveLength(6);
    await expect(reader.list(ada, { user: 'bob' })).rejects.toBeInstanceOf(ForbiddenError);
    const [foreign, own] = [rows[7]?.executionId ?? '', rows[3]?.executionId ?? ''];
    await expect(reader.show(ada, foreign)).rejects.toBeInstanceOf(NotFoundError);
    expect(await reader.show(ada, own)).toMatchObject({
      status: 'failed',
      error: 'why',
      outputBytes: 2,
      decision: 'allowed',
    });
    expect(await reader.show(admin, foreign)).toMatchObject({ userName: 'bob', status: 'success' });
  });

  it('says what is wrong with a filter or an id', async () => {
    await expect(reader.list(admin, { limit: 0 })).rejects.toBeInstanceOf(UsageError);
    await expect(reader.list(admin, { cursor: "' OR 1=1" })).rejects.toThrow(
      /^There is no list to go on with at the cursor ' OR 1=1$/,
    );
    await expect(reader.show(admin, 'nonsense')).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe('newExecutionId', () => {
  it('is a UUID of version 7 that sorts by time and never repeats', () => {
    const made = Array.from({ length: 5_000 }, (_, index) => newExecutionId(1_700_000_000_000 + index));
    for (const id of made) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([...made].sort()).toEqual(made);
    expect(new Set(Array.from({ length: 5_000 }, () => newExecutionId(1))).size).toBe(5_000);
  });
});
