import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { databaseStatus, migrateInstance } from '../../../src/lib/app/database-admin.ts';
import { coreExtensions } from '../../../src/lib/app/extensions/core.ts';
import { createLocalInstance, type Instance } from '../../../src/lib/infra/config/instance.ts';
import { openSecretStore, type SecretStore } from '../../../src/lib/infra/config/secrets.ts';
import { parseConnectionUrl, toConnectionUrl } from '../../../src/lib/infra/database/connection-url.ts';
import { connectionFor, mcpConnectionUrl } from '../../../src/lib/infra/database/connections.ts';
import { withSession } from '../../../src/lib/infra/database/session.ts';

describe('the database of an instance', () => {
  let instance: Instance;
  let secrets: SecretStore;
  const name = `t_${randomBytes(6).toString('hex')}`;
  beforeEach(async () => {
    instance = await createLocalInstance(await mkdtemp(join(tmpdir(), 'sp-admin-')));
    secrets = await openSecretStore(instance);
  });
  afterEach(async () => {
    await rm(instance.root, { recursive: true, force: true });
    await rm(instance.runtimeDir, { recursive: true, force: true });
    await withSession(inject('postgres'), {}, async (session) => {
      await session.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      const roles = await session.query<{ rolname: string }>(
        'SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)',
        [`sp_${name}_`],
      );
      for (const { rolname } of roles) await session.query(`DROP ROLE "${rolname}"`);
    });
  });

  test('on a server of the user: the database is created and made ready from a secret reference, described, and used in each role', async () => {
    await secrets.set('database.url', toConnectionUrl({ ...inject('postgres'), host: '127.0.0.1', database: name }));
    const profile = { database: { url: '${secret:database.url}' } };
    const report = await migrateInstance(instance, profile, secrets);
    expect(report.applied.length).toBeGreaterThan(0);
    expect(await migrateInstance(instance, profile, secrets)).toEqual({ applied: [], pending: [] });

    const status = await databaseStatus(instance, profile, secrets);
    expect(status).toMatchObject({
      serverVersion: expect.stringMatching(/^18\./),
      embedded: false,
      database: name,
      host: '127.0.0.1',
    });
    expect(status.sizeBytes).toBeGreaterThan(1_000_000);
    expect(status.extensions.map(({ id }) => id)).toEqual(
      coreExtensions.filter((e) => e.migrations !== undefined).map(({ id }) => id),
    );
    expect(status.extensions.every(({ applied, pending }) => applied.length > 0 && pending.length === 0)).toBe(true);

    for (const role of ['owner', 'app', 'audit'] as const) {
      const rows = await withSession(await connectionFor(instance, profile, secrets, role), {}, (session) =>
        session.query('SELECT current_user AS name'),
      );
      expect(rows).toEqual([{ name: `sp_${name}_${role}` }]);
    }
    const url = await mcpConnectionUrl(instance, profile, secrets, 'notes');
    expect(await mcpConnectionUrl(instance, profile, secrets, 'notes')).toBe(url);
    await withSession(parseConnectionUrl(url), {}, (session) => session.query('CREATE TABLE note (text text)'));
  });

  test('that was never started says so at once', async () => {
    const attempt = migrateInstance(instance, { database: {} }, secrets);
    await expect(attempt).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', next: ['infra services start'] });
  });

  test('whose URL is wrong says what, without the URL', async () => {
    const attempt = migrateInstance(instance, { database: { url: 'postgres://ada:canary@127.0.0.1:1' } }, secrets);
    const failure = (await attempt.catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'PRECONDITION' });
    expect(failure.message).not.toContain('canary');
  });
});
