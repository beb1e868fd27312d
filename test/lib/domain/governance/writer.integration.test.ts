import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IntentRow } from '../../../../src/lib/domain/governance/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { DedicatedConnection } from '../../../../src/lib/infra/database/dedicated.ts';
import { AuditUnavailableError, DatabaseUnavailableError, TimeoutError } from '../../../../src/lib/shared/errors.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { until } from '../../../helpers/until.ts';
import { connectAs, intentRow, openWriter, outcomeRow } from './audit-store.ts';

let test: TestDatabase;
let app: Database;
let admin: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  admin = openDatabase({ ...test.admin, database: 'postgres' }, { poolSize: 1 });
});
afterAll(async () => {
  await Promise.all([app.close(), admin.close()]);
  await test.drop();
});

const away = () => new DatabaseUnavailableError('lost', { data: { reason: 'lost' } });

async function statusesOf(...ids: string[]): Promise<Record<string, string | null>> {
  const rows = await app.query<{ id: string; status: string | null }>(
    `SELECT i.execution_id AS id, o.status FROM audit.tool_intents i LEFT JOIN audit.tool_outcomes o USING (execution_id)
     WHERE i.execution_id = ANY ($1::uuid[])`,
    [ids],
  );
  return Object.fromEntries(rows.map(({ id, status }) => [id, status]));
}

/** Takes the store away from the audit role: no new connections, and those that are there are ended. */
async function takeAway(): Promise<void> {
  await admin.query(`ALTER ROLE "${test.audit.user}" NOLOGIN`);
  await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [test.audit.user]);
}
const giveBack = () => admin.query(`ALTER ROLE "${test.audit.user}" LOGIN`);

describe('AuditWriter', () => {
  it('commits rows that wait together, and every one of them', async () => {
    let statements = 0;
    const counting = async (): Promise<DedicatedConnection> => {
      const connection = await connectAs(test.audit)();
      return {
        ...connection,
        run: (statement, values) => {
          statements += 1;
          return connection.run(statement, values);
        },
      };
    };
    await using store = await openWriter(test.audit, { connect: counting });
    statements = 0;
    const rows = Array.from({ length: 1_000 }, () => intentRow());
    await Promise.all(rows.map((row) => store.writer.intent(row)));
    expect(statements).toBeLessThan(20);
    await Promise.all(rows.map((row) => store.writer.outcome(outcomeRow(row.executionId))));
    expect(statements).toBeLessThan(40);
    const statuses = await statusesOf(...rows.map((row) => row.executionId));
    expect(Object.values(statuses)).toEqual(Array.from({ length: 1_000 }, () => 'success'));
  });

  it('keeps every column as it was given', async () => {
    await using store = await openWriter(test.audit);
    const intent = intentRow({
      inputJson: '{"a":["ü\\"x",1.5,null]}',
      scopes: ['user', 'a:b'],
      required: [],
      tool: 'x"\\y',
      client: "d'c",
    });
    await store.writer.attempt(intent, outcomeRow(intent.executionId, { status: 'refused', error: 'no "way"\n' }));
    const [row] = await app.query(
      'SELECT * FROM audit.tool_intents JOIN audit.tool_outcomes USING (execution_id) WHERE execution_id = $1',
      [intent.executionId],
    );
    expect(row).toMatchObject({
      api_instance: store.instance,
      tool: 'x"\\y',
      client: "d'c",
      scopes: ['user', 'a:b'],
      required: [],
      input: { a: ['ü"x', 1.5, null] },
      started_at: new Date(intent.startedAt),
      status: 'refused',
      error: 'no "way"\n',
      output_bytes: 2,
      latency_us: 10,
    });
  });

  it('writes the rows beside one that the store does not take', async () => {
    await using store = await openWriter(test.audit, { lanes: 1 });
    const rows = Array.from({ length: 5 }, (_, index) => intentRow(index === 2 ? { inputJson: '"\\u0000"' } : {}));
    const results = await Promise.allSettled(rows.map((row) => store.writer.intent(row)));
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(Object.keys(await statusesOf(...rows.map((row) => row.executionId)))).toHaveLength(4);
  });

  it('refuses intents at once while the store is away, keeps outcomes, and goes on when it is back', async () => {
    await using store = await openWriter(test.audit, { outcomeTimeoutMs: 300 });
    const called = intentRow();
    await store.writer.intent(called);
    await takeAway();
    try {
      await until('it has seen that the store is away', () => !store.writer.available);
      const started = performance.now();
      await expect(store.writer.intent(intentRow())).rejects.toBeInstanceOf(AuditUnavailableError);
      expect(performance.now() - started).toBeLessThan(50);
      await expect(store.writer.outcome(outcomeRow(called.executionId))).rejects.toBeInstanceOf(TimeoutError);
    } finally {
      await giveBack();
    }
    await until(
      'the outcome is there',
      async () => (await statusesOf(called.executionId))[called.executionId] === 'success',
    );
    await store.writer.intent(intentRow());
    expect(JSON.stringify(store.logged)).not.toContain(test.audit.password);
  });

  it('gives an outcome that waited when the store came back in time', async () => {
    await using store = await openWriter(test.audit);
    const called = intentRow();
    await store.writer.intent(called);
    await takeAway();
    await until('it has seen that the store is away', () => !store.writer.available);
    const outcome = store.writer.outcome(outcomeRow(called.executionId));
    await giveBack();
    await outcome;
    expect(await statusesOf(called.executionId)).toEqual({ [called.executionId]: 'success' });
  });

  it('repeats a commit of which it never heard, without a second row', async () => {
    let swallow = false;
    let registered = 0;
    const losing = async (): Promise<DedicatedConnection> => {
      const connection = await connectAs(test.audit)();
      return {
        ...connection,
        run: async (statement, values) => {
          const rows = await connection.run(statement, values);
          if (statement.name === 'audit_register') registered += 1;
          if (!swallow) return rows;
          swallow = false;
          connection.destroy();
          throw away();
        },
      };
    };
    await using store = await openWriter(test.audit, { connect: losing });
    // The one that stands by has to be there: without it the intent would rightly be refused.
    await until('both connections have registered', () => registered === 2);
    const intent = intentRow();
    swallow = true;
    await store.writer.intent(intent);
    swallow = true;
    await store.writer.outcome(outcomeRow(intent.executionId));
    expect(await statusesOf(intent.executionId)).toEqual({ [intent.executionId]: 'success' });
  });

  it('closes an intent that was committed though its call was not made', async () => {
    let lose = false;
    const losing = async (): Promise<DedicatedConnection> => {
      if (lose) throw away();
      const connection = await connectAs(test.audit)();
      return {
        ...connection,
        run: async (statement, values) => {
          const rows = await connection.run(statement, values);
          if (!lose) return rows;
          connection.destroy();
          throw away();
        },
      };
    };
    await using store = await openWriter(test.audit, { connect: losing, lanes: 1 });
    const intent = intentRow();
    lose = true;
    await expect(store.writer.intent(intent)).rejects.toBeInstanceOf(AuditUnavailableError);
    expect(await statusesOf(intent.executionId)).toEqual({ [intent.executionId]: null });
    lose = false;
    await until(
      'it has an outcome',
      async () => (await statusesOf(intent.executionId))[intent.executionId] === 'failed',
    );
  });

  it('refuses intents that wait on a store that does not answer, and closes those that get in late', async () => {
    await using store = await openWriter(test.audit, { lanes: 1, intentTimeoutMs: 200 });
    const rows: IntentRow[] = [intentRow(), intentRow()];
    const blocker = openDatabase(test.owner, { poolSize: 1 });
    try {
      await blocker.transaction(async (tx) => {
        await tx.query('LOCK TABLE audit.tool_intents IN EXCLUSIVE MODE');
        const first = store.writer.intent(rows[0] as IntentRow);
        await until('it waits for the lock', async () => {
          const waiting = await app.query('SELECT 1 FROM pg_locks WHERE NOT granted AND relation = $1::regclass', [
            'audit.tool_intents',
          ]);
          return waiting.length > 0;
        });
        const second = store.writer.intent(rows[1] as IntentRow);
        await expect(first).rejects.toBeInstanceOf(AuditUnavailableError);
        await expect(second).rejects.toBeInstanceOf(AuditUnavailableError);
        expect(store.writer.available).toBe(false);
      });
    } finally {
      await blocker.close();
    }
    const [late] = rows as [IntentRow];
    await until(
      'the late one is closed',
      async () => (await statusesOf(late.executionId))[late.executionId] === 'failed',
    );
    expect(await statusesOf((rows[1] as IntentRow).executionId)).toEqual({});
    await until('calls go through again', () => store.writer.available);
  });

  it('refuses more than may wait', async () => {
    await using store = await openWriter(test.audit, { maxWaiting: 10 });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => store.writer.intent(intentRow())));
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(10);
  });

  it('writes what waits before it closes', async () => {
    const store = await openWriter(test.audit);
    const rows = Array.from({ length: 50 }, () => intentRow());
    const written = Promise.all(rows.map((row) => store.writer.intent(row)));
    await store.writer.close();
    await written;
    expect(Object.keys(await statusesOf(...rows.map((row) => row.executionId)))).toHaveLength(50);
    await expect(store.writer.intent(intentRow())).rejects.toBeInstanceOf(AuditUnavailableError);
  });
});
