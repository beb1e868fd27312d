import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { isPortFree } from '../../../../src/lib/infra/process/ports.ts';
import { readPostgresState } from '../../../../src/lib/infra/process/postgres-state.ts';
import { ProbeConnection } from '../../../../src/lib/infra/process/probe-connection.ts';
import { listProcesses } from '../../../../src/lib/infra/process/table.ts';
import { EmbeddedFixture } from '../../../helpers/embedded.ts';
import { createPreparedInstance } from '../../../helpers/prepared-cluster.ts';

/** Polls until it holds; the default second is too short for a busy machine. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });

let fixture: EmbeddedFixture;
afterEach(() => fixture.remove());

const state = async () => {
  const found = await readPostgresState(fixture.instance);
  if (found === undefined) throw new Error('no state');
  return found;
};

describe('embedded PostgreSQL', () => {
  beforeEach(async () => {
    fixture = await EmbeddedFixture.create();
  });

  test('starts, keeps its port and its data across starts, and leaves nothing when it stopped', async () => {
    const before = new Set((await listProcesses()).map((info) => info.pid));
    const first = await fixture.start();
    const { port, socketDir } = await state();
    const admin = await fixture.service.connection('superuser');
    await withSession(admin, {}, (session) => session.query('CREATE TABLE kept AS SELECT 42 AS answer'));
    expect(await fixture.service.running()).toMatchObject({ pid: first.pid, port });
    await fixture.stop(first.child);

    expect(await isPortFree(port)).toBe(true);
    expect((await readdir(socketDir ?? '')).filter((name) => name.startsWith('.s.PGSQL'))).toEqual([]);
    expect((await listProcesses()).filter((info) => !before.has(info.pid) && info.group === first.pid)).toEqual([]);
    expect(await fixture.service.running()).toBeUndefined();

    const second = await fixture.start();
    expect((await state()).port).toBe(port);
    const rows = await withSession(admin, {}, (session) => session.query('SELECT answer FROM kept'));
    expect(rows).toEqual([{ answer: 42 }]);
    await fixture.stop(second.child);
  });

  test.runIf(process.getuid?.() === 0)('as root runs as an account of its own and says so', async () => {
    const { pid, detail } = await fixture.start();
    expect(detail).toContain('PostgreSQL runs as user systemprompt');
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).toBe(String((await state()).account?.uid));
  });

  test.runIf(process.getuid?.() === 0)(
    'the account can put no link in the way of what root sets rights on',
    async () => {
      await fixture.start();
      const { account, dataDir, socketDir } = await state();
      const folder = dirname(dataDir);
      expect(dirname(socketDir ?? '')).toBe(folder);
      expect(await stat(folder)).toMatchObject({ uid: 0, gid: 0 });
      expect((await stat(folder)).mode & 0o777).toBe(0o711);
      for (const dir of [dataDir, socketDir ?? '']) expect((await stat(dir)).uid).toBe(account?.uid);
    },
  );

  test.runIf(process.getuid?.() === 0)(
    'as root names the commands that hand over what an ordinary user made',
    async () => {
      const first = await fixture.start();
      await fixture.stop(first.child);
      // Not renamed: they may lie on different file systems.
      await promisify(execFile)('mv', [(await state()).dataDir, join(fixture.instance.dataDir, 'postgres')]);
      const failure = await fixture.start().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'PRECONDITION', message: expect.stringContaining('ordinary user') });
      const commands = /hand it over: (.+)$/.exec((failure as { hint: string }).hint)?.[1] ?? '';
      await promisify(execFile)('sh', ['-c', commands]);
      await fixture.start();
    },
  );

  test('has no password in its arguments or environment, checksums on, and only scram sign-ins', async () => {
    const { pid } = await fixture.start();
    const secret = await fixture.secrets.require('database.superuser');
    for (const file of ['cmdline', 'environ'])
      expect(await readFile(`/proc/${pid}/${file}`, 'utf8')).not.toContain(secret);
    const { dataDir } = await state();
    expect((await readdir(dirname(dataDir))).filter((name) => name.includes('.init-'))).toEqual([]);
    const admin = await fixture.service.connection('superuser');
    await withSession(admin, {}, async (session) => {
      const [row] = await session.query(
        `SELECT current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync, current_setting('listen_addresses') AS listen,
                (SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules) AS auth, pg_encoding_to_char(encoding) AS encoding,
                datlocale AS locale FROM pg_database WHERE datname = 'template0'`,
      );
      expect(row).toEqual({
        checksums: 'on',
        fsync: 'on',
        listen: '127.0.0.1',
        auth: 'scram-sha-256',
        encoding: 'UTF8',
        locale: 'C.UTF-8',
      });
    });
    await expect(withSession({ ...admin, password: 'wrong' }, {}, async () => {})).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      data: { reason: 'auth' },
    });
  });

  test('the probe refuses another server that answers on the port', async () => {
    const other = await EmbeddedFixture.create();
    try {
      await other.start();
      const theirs = await readPostgresState(other.instance);
      await fixture.start();
      const file = join(fixture.instance.runDir, 'postgres.json');
      await fixture.secrets.set('database.superuser', await other.secrets.require('database.superuser'));
      await writeFile(file, JSON.stringify({ ...(await state()), socketDir: theirs?.socketDir, port: theirs?.port }));
      const at = { instanceId: '' as never, pid: 1, port: undefined };
      const context = { ...at, signal: AbortSignal.timeout(5000), timeoutMs: 5000, connection: new ProbeConnection() };
      expect(await fixture.service.probe(context)).toEqual({
        ready: false,
        reason: 'another PostgreSQL answers there',
      });
    } finally {
      await other.remove();
    }
  });
});

describe('embedded PostgreSQL with a cluster', () => {
  beforeEach(async () => {
    fixture = await EmbeddedFixture.create({ createInstance: createPreparedInstance });
  });

  test('recovers after SIGKILL of the postmaster, a backend still busy', async () => {
    const first = await fixture.start();
    const admin = await fixture.service.connection('superuser');
    await withSession(admin, {}, (session) => session.query('CREATE TABLE kept AS SELECT 1 AS answer'));
    const busy = openDatabase(admin);
    // Computes without looking up: notices neither the postmaster's death nor ours.
    const computing = busy
      .query('SELECT count(*) FROM generate_series(1, 1000000000) g')
      .catch((error: unknown) => error);
    await eventually(async () => {
      const rows = await withSession(admin, {}, (session) =>
        session.query(
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active' AND pid <> pg_backend_pid()",
        ),
      );
      return rows.length;
    }).toBe(1);
    await fixture.stop(first.child, 'SIGKILL');
    const { dataDir } = await state();
    expect(existsSync(join(dataDir, 'postmaster.pid'))).toBe(true);

    await fixture.start();
    const rows = await withSession(admin, {}, (session) => session.query('SELECT answer FROM kept'));
    expect(rows).toEqual([{ answer: 1 }]);
    expect(await computing).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await busy.close();
  });

  test('starts although the pid of the crashed one now belongs to somebody else', async () => {
    const first = await fixture.start();
    await fixture.stop(first.child, 'SIGKILL');
    const { dataDir, socketDir, port } = await state();
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      for (const file of [join(dataDir, 'postmaster.pid'), join(socketDir ?? '', `.s.PGSQL.${port}.lock`)]) {
        const text = await readFile(file, 'utf8');
        await writeFile(file, text.replace(/^\d+/, String(stranger.pid)));
      }
      await fixture.start();
      expect(stranger.exitCode).toBeNull();
    } finally {
      const ended = once(stranger, 'exit');
      stranger.kill('SIGKILL');
      await ended;
    }
  });

  test('is not started twice', async () => {
    const { pid } = await fixture.start();
    await expect(fixture.start()).rejects.toMatchObject({ code: 'PRECONDITION', data: { pid } });
  });

  test('takes another port when a stranger has its own, and keeps that one', async () => {
    const first = await fixture.start();
    const { port } = await state();
    await fixture.stop(first.child);
    const stranger = createServer().listen(port, '127.0.0.1');
    await once(stranger, 'listening');
    const second = await fixture.start();
    const moved = (await state()).port;
    expect(moved).not.toBe(port);
    await fixture.stop(second.child);
    stranger.close();
    await once(stranger, 'close');
    await fixture.start();
    expect((await state()).port).toBe(moved);
  });

  test('refuses a data directory of another major version and leaves it as it is', async () => {
    const first = await fixture.start();
    await fixture.stop(first.child);
    const { dataDir } = await state();
    await writeFile(join(dataDir, 'PG_VERSION'), '16\n');
    await expect(fixture.start()).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(/PostgreSQL 16.*PostgreSQL 18/),
      data: { found: '16', expected: '18' },
    });
    await writeFile(join(dataDir, 'PG_VERSION'), '18\n');
    await fixture.start();
  });

  test('says so when its data is gone instead of beginning with an empty database', async () => {
    const first = await fixture.start();
    await fixture.stop(first.child);
    const { dataDir } = await state();
    await rename(dataDir, `${dataDir}.moved`);
    await expect(fixture.start()).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('is gone'),
    });
    await rename(`${dataDir}.moved`, dataDir);
    await fixture.start();
  });

  test('a first start that was killed half-way is done anew', async () => {
    const first = await fixture.start();
    await fixture.stop(first.child);
    const { dataDir } = await state();
    await rm(dataDir, { recursive: true });
    await rm(join(fixture.instance.runDir, 'postgres.json'));
    const draft = join(dirname(dataDir), 'data.init-of-a-killed-start');
    await mkdir(process.getuid?.() === 0 ? draft : join(dirname(dataDir), 'postgres.init-of-a-killed-start'));
    await fixture.start();
    expect((await readdir(dirname(dataDir))).filter((name) => name.includes('.init-'))).toEqual([]);
  });

  test('the probe of a server that is stopped by a signal takes no longer than it may', async () => {
    const { pid } = await fixture.start();
    process.kill(pid, 'SIGSTOP');
    try {
      const since = performance.now();
      const at = { instanceId: '' as never, pid, port: undefined };
      const context = { ...at, signal: AbortSignal.timeout(500), timeoutMs: 500, connection: new ProbeConnection() };
      expect(await fixture.service.probe(context)).toMatchObject({ ready: false });
      // It took the 5 s of any other connection.
      expect(performance.now() - since).toBeLessThan(4_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});
