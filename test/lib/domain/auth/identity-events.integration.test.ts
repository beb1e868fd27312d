import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordIdentityEvent, recordIdentityEvents } from '../../../../src/lib/domain/auth/index.ts';
import type { IdentityEventsRow } from '../../../../src/lib/domain/auth/tables.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

let test: TestDatabase;
let owner: Database;
let app: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  owner = openDatabase(test.owner, { poolSize: 2 });
  app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
});
afterAll(async () => {
  await Promise.all([owner.close(), app.close()]);
  await test.drop();
});

const rows = () => app.query<IdentityEventsRow>('SELECT * FROM identity_events ORDER BY id');

describe('the audit of identity', () => {
  it('auth 55: keeps events in their order, with number and time of the database', async () => {
    const userId = randomUUID() as UserId;
    await recordIdentityEvents(app, [
      { type: 'sign_in', userId, address: '127.0.0.1' },
      { type: 'consent_given', userId, clientId: 'c', resource: 'http://x/mcp', data: { scopes: ['user'], ms: 3 } },
    ]);
    await recordIdentityEvent(app, { type: 'sign_out', userId });
    const events = await rows();
    expect(events.map(({ type }) => type)).toEqual(['sign_in', 'consent_given', 'sign_out']);
    expect(events[1]).toMatchObject({ user_id: userId, client_id: 'c', data: { scopes: ['user'], ms: 3 } });
    expect(events.every((row, at) => at === 0 || row.id > (events[at - 1]?.id ?? 0))).toBe(true);
    for (const forged of ['id', 'at']) {
      const value = forged === 'id' ? '1' : "'2000-01-01'";
      const sql = `INSERT INTO identity_events (type, ${forged}) VALUES ('sign_in', ${value})`;
      await expect(app.query(sql)).rejects.toThrow(/permission denied|non-DEFAULT/);
    }
  });

  it('auth 55: is there with what it tells, or neither is', async () => {
    const before = (await rows()).length;
    const failing = app.transaction(async (tx) => {
      await recordIdentityEvent(tx, { type: 'key_rotated' });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await rows()).toHaveLength(before);
  });

  it('auth 55: is changed by nobody: not the application, not the owner, not a session that plays a replica', async () => {
    const before = await rows();
    const changes = [
      "UPDATE identity_events SET type = 'x_y_z'",
      'DELETE FROM identity_events',
      'TRUNCATE identity_events',
    ];
    for (const sql of [...changes, 'ALTER TABLE identity_events DISABLE TRIGGER ALL', 'DROP TABLE identity_events']) {
      await expect(app.query(sql), sql).rejects.toThrow(/permission denied|must be owner/);
    }
    const admin = openDatabase(test.admin, { poolSize: 1 });
    try {
      for (const sql of changes) {
        await expect(owner.query(sql), sql).rejects.toThrow(/permission denied|append-only/);
        const asReplica = admin.transaction(async (tx) => {
          await tx.query('SET LOCAL session_replication_role = replica');
          await tx.query(sql);
        });
        await expect(asReplica, sql).rejects.toThrow(/append-only/);
      }
    } finally {
      await admin.close();
    }
    expect(await rows()).toEqual(before);
  });

  it('auth 55: holds no secret that somebody put into a text, no control characters, and nothing too long', async () => {
    await recordIdentityEvent(app, {
      type: 'client_registered',
      clientId: `c${'x'.repeat(5000)}`,
      data: {
        name: `app \u001b[31m\u0000 Bearer abcdefghijklmnop ${'y'.repeat(9000)}`,
        redirects: Array.from({ length: 500 }, () => 'https://a:geheim123@b.example/'),
        missing: undefined,
      },
    });
    const row = (await rows()).at(-1);
    const text = JSON.stringify(row);
    expect(text.length).toBeLessThan(17_000);
    expect(text).not.toMatch(/abcdefghijklmnop|geheim123|\\u001b/);
    expect(row?.data).not.toHaveProperty('missing');
  });
});
