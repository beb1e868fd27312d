import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tableTypes } from '../../../../scripts/lib/table-types.ts';
import type { SupervisorEpochRow } from '../../../../src/lib/app/supervisor/tables.ts';
import type { SigningKeysRow } from '../../../../src/lib/domain/auth/tables.ts';
import type { UsersRow } from '../../../../src/lib/domain/users/tables.ts';
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

  test('is the one on record, and its row types are the ones that the code uses', async () => {
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

  test('has in its rows what the generated types say', async () => {
    await tableTypes(database.owner, migrationsRoot);
    const owner = openDatabase(database.owner);
    try {
      const [user] = await owner.query<UsersRow>(
        "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{admin}') RETURNING *",
      );
      const expectedUser: UsersRow = {
        id: expect.any(String),
        name: 'ada',
        email: null,
        display_name: 'Ada',
        status: 'active',
        roles: ['admin'],
        created_at: expect.any(Date),
        updated_at: expect.any(Date),
        kind: 'person',
        access_version: 1,
        access_changed_at: expect.any(Date),
        email_verified_at: null,
        status_reason: null,
        status_changed_at: null,
      };
      expect(user).toStrictEqual(expectedUser);
      const [held] = await owner.query<SupervisorEpochRow>(
        `INSERT INTO supervisor_epoch (installation_id, epoch, holder_pid, host, boot_id, version)
         VALUES (gen_random_uuid(), 7, 8, 'host', 'boot', '1') RETURNING *`,
      );
      const expectedHeld: SupervisorEpochRow = {
        installation_id: expect.any(String),
        epoch: 7,
        holder_pid: 8,
        host: 'host',
        boot_id: 'boot',
        version: '1',
        taken_at: expect.any(Date),
      };
      expect(held).toStrictEqual(expectedHeld);
      const [key] = await owner.query<SigningKeysRow>(
        `INSERT INTO signing_keys (kid, alg, status, public_jwk, private_jwe)
         VALUES ('k', 'ES256', 'next', '{"kty":"EC"}', 'sealed') RETURNING *`,
      );
      expect(key).toMatchObject({ status: 'next', public_jwk: { kty: 'EC' }, private_jwe: 'sealed', retired_at: null });
    } finally {
      await owner.close();
    }
  });
});
