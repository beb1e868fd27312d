import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeInterrupted } from '../../../../src/lib/domain/governance/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { intentRow, openWriter, outcomeRow } from './audit-store.ts';

let test: TestDatabase;
let owner: Database;
let app: Database;
let audit: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  owner = openDatabase(test.owner, { poolSize: 2 });
  app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  audit = openDatabase(test.audit, { poolSize: 2 });
});
afterAll(async () => {
  await Promise.all([owner.close(), app.close(), audit.close()]);
  await test.drop();
});

describe('the audit tables', () => {
  it('take rows from the audit role, which can do nothing else with them', async () => {
    await using store = await openWriter(test.audit);
    await store.writer.intent(intentRow());
    for (const sql of [
      'SELECT * FROM audit.tool_intents',
      'SELECT execution_id FROM audit.tool_outcomes',
      'SELECT * FROM audit.writers',
      "UPDATE audit.tool_intents SET tool = 'x'",
      'DELETE FROM audit.tool_intents',
      'TRUNCATE audit.tool_outcomes',
      'UPDATE audit.writers SET closed_at = now()',
      `SELECT audit.close_interrupted('${randomUUID()}')`,
      'SELECT audit.refuse_change()',
      'DROP TABLE audit.tool_intents',
      'ALTER TABLE audit.tool_intents DISABLE TRIGGER ALL',
    ]) {
      await expect(audit.query(sql), sql).rejects.toThrow(/permission denied|must be owner|trigger functions/);
    }
  });

  it('are read by the application, which writes nothing', async () => {
    expect(await app.query('SELECT count(*) FROM audit.tool_intents')).toHaveLength(1);
    for (const sql of [
      `INSERT INTO audit.tool_outcomes (execution_id, status) VALUES ('${randomUUID()}', 'success')`,
      "UPDATE audit.tool_outcomes SET status = 'success'",
      'DELETE FROM audit.tool_intents',
      'TRUNCATE audit.tool_intents',
      'DELETE FROM audit.writers',
    ]) {
      await expect(app.query(sql), sql).rejects.toThrow(/permission denied/);
    }
  });

  it('are changed by nobody, not even their owner or a session that plays a replica', async () => {
    const changes = [
      "UPDATE audit.tool_intents SET tool = 'x'",
      'DELETE FROM audit.tool_outcomes',
      'TRUNCATE audit.tool_intents',
    ];
    for (const sql of changes) await expect(owner.query(sql), sql).rejects.toThrow(/permission denied|append-only/);
    await owner.query('GRANT UPDATE, DELETE, TRUNCATE ON audit.tool_intents, audit.tool_outcomes TO CURRENT_USER');
    for (const sql of changes) await expect(owner.query(sql), sql).rejects.toThrow(/append-only/);
    await using admin = disposable(openDatabase(test.admin, { poolSize: 1 }));
    await admin.query("SET session_replication_role = 'replica'");
    for (const sql of changes) await expect(admin.query(sql), sql).rejects.toThrow(/append-only/);
  });

  it('take one outcome for a call; a later one changes nothing', async () => {
    await using store = await openWriter(test.audit, { lanes: 1 });
    const intent = intentRow();
    await store.writer.intent(intent);
    await store.writer.outcome(outcomeRow(intent.executionId));
    await expect(store.writer.outcome(outcomeRow(intent.executionId, { status: 'failed' }))).rejects.toThrow(
      /somebody else/,
    );
    const rows = await app.query('SELECT status FROM audit.tool_outcomes WHERE execution_id = $1', [
      intent.executionId,
    ]);
    expect(rows).toEqual([{ status: 'success' }]);
  });
});

describe('audit.close_interrupted', () => {
  it('gives the open intents of an ended process an outcome, and closes it', async () => {
    const dead = await openWriter(test.audit);
    const alive = await openWriter(test.audit);
    const [done, open, other] = [intentRow(), intentRow(), intentRow()];
    await Promise.all([dead.writer.intent(done), dead.writer.intent(open), alive.writer.intent(other)]);
    await dead.writer.outcome(outcomeRow(done.executionId));
    await dead.writer.close();
    expect(await closeInterrupted(app, dead.instance)).toBe(1);
    expect(await closeInterrupted(app, dead.instance)).toBe(0);
    const rows = await app.query<{ execution_id: string; status: string }>(
      'SELECT execution_id, status FROM audit.tool_outcomes WHERE execution_id = ANY ($1::uuid[])',
      [[done.executionId, open.executionId, other.executionId]],
    );
    expect(new Map(rows.map((row) => [row.execution_id, row.status]))).toEqual(
      new Map([
        [done.executionId, 'success'],
        [open.executionId, 'interrupted'],
      ]),
    );
    const writers = await app.query<{ instance: string; closed: boolean }>(
      'SELECT instance, closed_at IS NOT NULL AS closed FROM audit.writers WHERE instance = ANY ($1::uuid[])',
      [[dead.instance, alive.instance]],
    );
    expect(new Map(writers.map((row) => [row.instance, row.closed]))).toEqual(
      new Map([
        [dead.instance, true],
        [alive.instance, false],
      ]),
    );
    await alive.writer.close();
  });

  it('fails for a process that still writes, instead of taking its outcomes away', async () => {
    await using store = await openWriter(test.audit);
    const intent = intentRow();
    await store.writer.intent(intent);
    await expect(closeInterrupted(app, store.instance)).rejects.toMatchObject({ code: '55P03' });
    await store.writer.outcome(outcomeRow(intent.executionId));
  });
});

function disposable<T extends { close(): Promise<void> }>(value: T): T & AsyncDisposable {
  return Object.assign(value, { [Symbol.asyncDispose]: () => value.close() });
}
