import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tableTypes } from '../../../../scripts/lib/table-types.ts';
import type { SupervisorTables } from '../../../../src/lib/app/supervisor/tables.ts';
import type { AuthTables } from '../../../../src/lib/domain/auth/tables.ts';
import type { GovernanceTables } from '../../../../src/lib/domain/governance/tables.ts';
import type { UsersTables } from '../../../../src/lib/domain/users/tables.ts';
import { packageRoot } from '../../../../src/lib/infra/config/package-root.ts';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, migrationsRoot, type TestDatabase } from '../../../helpers/database.ts';
import { dumpSchema } from '../../../helpers/schema-dump.ts';

const golden = fileURLToPath(new URL('../../../golden/schema.txt', import.meta.url));

describe('the schema that the migrations make', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase({ migrated: false });
  });
  afterEach(() => database.drop());

  test('is the one on record, and its table types are the ones that the code uses', async () => {
    const types = await tableTypes(database.owner, migrationsRoot);
    for (const [file, text] of types) {
      expect(text, `${file}: run node scripts/generate-tables.mjs`).toBe(
        await readFile(join(packageRoot(), file), 'utf8'),
      );
    }
    const schema = (await dumpSchema(database.admin)).replaceAll(`sp_${database.name}_`, 'sp_DATABASE_');
    // After a wanted change: UPDATE_GOLDEN=1 npx vitest run test/lib/infra/database/schema
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(golden, schema);
    expect(schema).toBe(await readFile(golden, 'utf8'));
  });

  test('is read through the generated types by kysely', async () => {
    await tableTypes(database.owner, migrationsRoot);
    const app = openDatabase(database.app);
    try {
      const db = app.db.withTables<AuthTables & GovernanceTables & SupervisorTables & UsersTables>();
      const user = await db
        .insertInto('users')
        .values({ name: 'ada', display_name: 'Ada', roles: ['admin'] })
        .returning(['id', 'created_at', 'roles'])
        .executeTakeFirstOrThrow();
      expect(user).toEqual({ id: expect.any(String), created_at: expect.any(Date), roles: ['admin'] });
      expect(await db.selectFrom('audit.tool_intents').selectAll().execute()).toEqual([]);
      expect(await db.selectFrom('services').select(['port', 'epoch']).execute()).toEqual([]);
      expect(await db.selectFrom('signing_keys').select('public_jwk').execute()).toEqual([]);
    } finally {
      await app.close();
    }
  });
});
