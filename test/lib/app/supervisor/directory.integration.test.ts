import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServiceDirectory } from '../../../../src/lib/app/supervisor/directory.ts';
import {
  dropService,
  holdsEpoch,
  readServices,
  type ServiceRow,
  takeEpoch,
  writeService,
} from '../../../../src/lib/app/supervisor/repository.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { newId, type ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { until } from '../../../helpers/until.ts';

const installationId = randomUUID();
const holder = { pid: 1234, host: 'h', bootId: 'b', version: '1' };

let database: TestDatabase;
let owner: Database;
let app: Database;
beforeEach(async () => {
  database = await createTestDatabase();
  owner = openDatabase(database.owner, { poolSize: 2 });
  app = openDatabase(database.app, { poolSize: 2 });
});
afterEach(async () => {
  await owner.close();
  await app.close();
  await database.drop();
});

function row(changes: Partial<ServiceRow> = {}): ServiceRow {
  return {
    name: 'mcp:a',
    kind: 'mcp',
    desired: 'running',
    state: 'ready',
    generation: 1,
    instanceId: newId<ServiceInstanceId>(),
    identity: { bootId: 'b', pid: 4321, startTicks: '99' },
    port: 5001,
    artefactHash: 'x',
    configHash: 'y',
    startedAt: new Date('2026-01-01T00:00:00Z'),
    readyAt: new Date('2026-01-01T00:00:01Z'),
    readyMs: 1000,
    lastExit: { code: null, signal: 'SIGKILL' },
    lastExitAt: new Date('2025-12-31T00:00:00Z'),
    restarts: 2,
    nextRetryAt: undefined,
    lastError: undefined,
    serving: true,
    healthReason: undefined,
    failuresInRow: 0,
    firstFailureAt: undefined,
    ...changes,
  };
}

const key = (epoch: number) => ({ installationId, epoch, host: 'h' });
const step = { from: 'starting', to: 'ready', event: 'healthy', reason: undefined, at: new Date() } as const;

describe('the rows of services', () => {
  it('come back as they were written, with one event for each transition', async () => {
    const epoch = await takeEpoch(owner, installationId, holder);
    expect(epoch).toBe(1);
    const written = row();
    expect(await writeService(owner, key(epoch), written, step)).toBe(true);
    expect(await writeService(owner, key(epoch), written, undefined)).toBe(true);
    expect(await readServices(owner, installationId)).toEqual([written]);
    const events = await app.query(
      'SELECT service, from_state, to_state, pid, exit_signal, epoch::int FROM service_events',
    );
    expect(events).toEqual([
      { service: 'mcp:a', from_state: 'starting', to_state: 'ready', pid: 4321, exit_signal: 'SIGKILL', epoch: 1 },
    ]);
  });

  it('can not be written under an epoch that is over', async () => {
    const old = await takeEpoch(owner, installationId, holder);
    await writeService(owner, key(old), row(), undefined);
    const current = await takeEpoch(owner, installationId, holder);
    expect(await holdsEpoch(owner, installationId, old)).toBe(false);
    expect(await holdsEpoch(owner, installationId, current)).toBe(true);
    expect(await writeService(owner, key(old), row({ state: 'failed' }), step)).toBe(false);
    expect(await dropService(owner, key(old), 'mcp:a')).toBe(false);
    expect(await readServices(owner, installationId)).toMatchObject([{ state: 'ready' }]);
    expect(await owner.query('SELECT 1 FROM service_events')).toEqual([]);
    expect(await dropService(owner, key(current), 'mcp:a')).toBe(true);
    expect(await readServices(owner, installationId)).toEqual([]);
  });

  it('are for the supervisor alone to write, and their history for nobody to rewrite', async () => {
    const epoch = await takeEpoch(owner, installationId, holder);
    await writeService(owner, key(epoch), row(), step);
    await expect(app.query("UPDATE services SET state = 'failed'")).rejects.toMatchObject({ code: '42501' });
    await expect(app.query('UPDATE supervisor_epoch SET epoch = 9')).rejects.toMatchObject({ code: '42501' });
    for (const statement of [
      'UPDATE service_events SET reason = 1',
      'DELETE FROM service_events',
      'TRUNCATE service_events',
    ]) {
      await expect(owner.query(statement)).rejects.toThrow('append-only');
    }
  });
});

describe('the directory', () => {
  it('knows where services listen, and hears of every change', async () => {
    const epoch = await takeEpoch(owner, installationId, holder);
    const first = row();
    await writeService(owner, key(epoch), first, undefined);
    await using directory = await opened();
    expect(directory.endpoint('mcp:a')).toEqual({
      name: 'mcp:a',
      port: 5001,
      instanceId: first.instanceId,
      state: 'ready',
      serving: true,
    });
    expect(directory.endpoint('mcp:b')).toBeUndefined();
    let heard = 0;
    directory.onChange(() => {
      heard += 1;
    });
    await writeService(owner, key(epoch), row({ port: 5002, state: 'starting' }), step);
    await until('it moved', () => directory.endpoint('mcp:a')?.port === 5002);
    expect(directory.endpoint('mcp:a')?.state).toBe('starting');
    expect(heard).toBeGreaterThan(0);
    await writeService(
      owner,
      key(epoch),
      row({ port: undefined, identity: undefined, instanceId: undefined, state: 'stopped' }),
      step,
    );
    await until('it is gone', () => directory.endpoint('mcp:a') === undefined);
  });

  it('sees no other installation', async () => {
    const other = randomUUID();
    const epoch = await takeEpoch(owner, other, holder);
    await writeService(owner, { installationId: other, epoch, host: 'h' }, row(), undefined);
    await using directory = await opened();
    expect(directory.all()).toEqual([]);
  });

  it('catches up after its connection was cut', async () => {
    const epoch = await takeEpoch(owner, installationId, holder);
    app.onError(() => {}); // the cut is the point
    await using directory = await opened();
    await owner.query('SELECT 1');
    await asAdmin('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [database.app.user]);
    await writeService(owner, key(epoch), row(), undefined);
    await until('it knows', () => directory.endpoint('mcp:a')?.port === 5001);
  });
});

async function opened() {
  const directory = await ServiceDirectory.open(app, installationId);
  return Object.assign(directory, { [Symbol.asyncDispose]: () => directory.close() });
}

async function asAdmin(sql: string, params: readonly unknown[]): Promise<void> {
  const admin = openDatabase(database.admin, { poolSize: 1 });
  await admin.query(sql, params);
  await admin.close();
}
