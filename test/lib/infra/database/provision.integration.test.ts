import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

describe('a provisioned and migrated database', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test('each role signs in and is no more than it should be', async () => {
    for (const role of ['owner', 'app', 'audit'] as const) {
      const db = openDatabase(database[role]);
      const [row] = await db.query<{ user: string; power: boolean }>(
        'SELECT current_user AS "user", rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS power FROM pg_roles WHERE rolname = current_user',
      );
      expect(row).toEqual({ user: `sp_${database.name}_${role}`, power: false });
      await db.close();
    }
  });
});
