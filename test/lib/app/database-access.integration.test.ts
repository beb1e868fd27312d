import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DatabaseAccess, withDatabase } from '../../../src/lib/app/database-access.ts';
import { databaseStatus, migrateInstance } from '../../../src/lib/app/database-admin.ts';
import { SupervisorClient } from '../../../src/lib/app/supervisor/client.ts';
import { createLocalInstance } from '../../../src/lib/infra/config/instance.ts';
import { loadProfile } from '../../../src/lib/infra/config/profile.ts';
import { openSecretStore } from '../../../src/lib/infra/config/secrets.ts';
import { connectionFor } from '../../../src/lib/infra/database/connections.ts';
import { withSession } from '../../../src/lib/infra/database/session.ts';
import { markedProcesses } from '../../../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../../../src/lib/infra/process/postgres-place.ts';

const purpose = 'The database is being tried';

describe('the database of an instance in which nothing runs', () => {
  let access: DatabaseAccess;
  let supervised = false;
  beforeAll(async () => {
    const instance = await createLocalInstance(await mkdtemp(join(tmpdir(), 'sp-access-')));
    access = {
      instance,
      profile: await loadProfile(instance, 'local', {}),
      secrets: await openSecretStore(instance),
      running: async () => {
        if (supervised) return true;
        const client = await SupervisorClient.connect(instance.controlSocket).catch(() => undefined);
        // Whoever holds the lock for another reason answers with the error that says so.
        return client !== undefined && (await client.status()) !== undefined;
      },
    };
    // The first start makes the cluster.
    await withDatabase(access, { purpose }, () => migrateInstance(access.instance, access.profile, access.secrets));
  }, 60_000);
  afterAll(async () => {
    const { root, runtimeDir, id } = access.instance;
    for (const path of [root, runtimeDir, rootInstanceDir(id)]) await rm(path, { recursive: true, force: true });
  });
  const nothingIsLeft = async () => {
    expect(await markedProcesses(access.instance.id)).toEqual([]);
    await expect(SupervisorClient.connect(access.instance.controlSocket)).rejects.toMatchObject({
      code: 'SUPERVISOR_UNAVAILABLE',
    });
  };
  const ask = async () => {
    const owner = await connectionFor(access.instance, access.profile, access.secrets, 'owner');
    return await withSession(owner, {}, (session) => session.query<{ one: number }>('SELECT 1 AS one'));
  };

  test('is started for the work, has kept what was migrated, and is stopped again', async () => {
    await nothingIsLeft();
    let told = 0;
    const status = await withDatabase(access, { purpose, started: () => (told += 1) }, () =>
      databaseStatus(access.instance, access.profile, access.secrets),
    );
    expect(told).toBe(1);
    expect(status.extensions.every(({ applied, pending }) => applied.length > 0 && pending.length === 0)).toBe(true);
    await nothingIsLeft();
  });

  test('is stopped also when the work fails, and the error is the work’s', async () => {
    await expect(
      withDatabase(access, { purpose }, async () => {
        await ask();
        throw new RangeError('of the work');
      }),
    ).rejects.toThrow('of the work');
    await nothingIsLeft();
  });

  test('serves one command after the other when two come at once; whoever asks for a supervisor meanwhile is told', async () => {
    let inside = 0;
    const work = async () => {
      inside += 1;
      expect(inside).toBe(1);
      const client = await SupervisorClient.connect(access.instance.controlSocket);
      await expect(client.status()).rejects.toMatchObject({
        code: 'CONFLICT',
        message: `${purpose} by process ${process.pid}.`,
      });
      client.close();
      expect(await ask()).toEqual([{ one: 1 }]);
      inside -= 1;
    };
    await Promise.all([withDatabase(access, { purpose }, work), withDatabase(access, { purpose }, work)]);
    await nothingIsLeft();
  });

  test('is stopped by an interrupt, which the work ends with', async () => {
    const interrupt = new AbortController();
    await expect(
      withDatabase(access, { purpose, signal: interrupt.signal }, async () => {
        const owner = await connectionFor(access.instance, access.profile, access.secrets, 'owner');
        await withSession(owner, {}, async (session) => {
          const sleeping = session.query('SELECT pg_sleep(60)');
          interrupt.abort();
          await sleeping;
        });
      }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    await nothingIsLeft();
  });

  test('is the supervisor’s where one runs; what must be alone is refused then', async () => {
    supervised = true;
    try {
      await expect(withDatabase(access, { purpose }, async () => 'done')).resolves.toBe('done');
      await expect(withDatabase(access, { purpose, alone: true }, async () => 'done')).rejects.toMatchObject({
        code: 'PRECONDITION',
        next: ['infra services stop'],
      });
    } finally {
      supervised = false;
    }
  });
});
