// Backup and restore of a million rows of the audit, on a durable cluster of its own.
//
//   node bench/backup.ts [rows]
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { backup } from '../src/lib/app/database/backup.ts';
import { planRestore, restore } from '../src/lib/app/database/restore.ts';
import { coreExtensions } from '../src/lib/app/extensions/core.ts';
import { withSession } from '../src/lib/infra/database/session.ts';
import { createTestDatabase, migrationsRoot } from '../test/helpers/database.ts';
import { placeOf } from '../test/helpers/database-place.ts';
import { startThrowAwayCluster } from '../test/helpers/throw-away-cluster.ts';

interface Timed<T> {
  readonly value: T;
  readonly seconds: number;
  /** Of this process; the server's is not in it. */
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

const rows = Number(process.argv[2] ?? 1_000_000);
const cluster = await startThrowAwayCluster({ durable: true });
const folder = await mkdtemp(join(tmpdir(), 'sp-bench-backup-'));
try {
  const database = await createTestDatabase({ cluster: cluster.admin });
  const place = placeOf(database);
  await withSession(database.owner, {}, (session) =>
    session.query(
      `INSERT INTO audit.tool_intents
         SELECT gen_random_uuid(), gen_random_uuid(), 'notes', 'add', gen_random_uuid()::text, 'ada', gen_random_uuid()::text, 'cli/1.0',
                '{user,notes:write}', '{user}', encode(sha256(n::text::bytea), 'hex'),
                jsonb_build_object('text', md5(n::text) || md5((n * 7)::text), 'number', n), 'allowed', now()
           FROM generate_series(1, ${rows}) n`,
    ),
  );
  const rss = (): number => Math.round(process.memoryUsage.rss() / 1e6);
  const before = rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, rss());
  }, 20);
  const timed = async <T>(work: () => Promise<T>): Promise<Timed<T>> => {
    peak = rss();
    const cpu = process.cpuUsage();
    const since = performance.now();
    const value = await work();
    const { user, system } = process.cpuUsage(cpu);
    // On a machine that does other things as well the time of our own processor says more than the clock.
    return { value, seconds: (performance.now() - since) / 1000, cpuSeconds: (user + system) / 1e6, peakRssMb: peak };
  };
  const extensions = coreExtensions.filter(({ migrations }) => migrations !== undefined).map(({ id }) => id);
  const path = join(folder, 'bench.backup');
  const written = await timed(() => backup(place, { path, version: 'bench', extensions, lockWaitMs: 1000 }));
  const request = { path, extensions: coreExtensions, migrationsRoot };
  const verified = await timed(() => planRestore(request));
  const restored = await timed(() => restore(place, verified.value, request));
  clearInterval(watch);
  const megabytes = written.value.bytes / 1e6;
  const figure = ({ seconds, cpuSeconds, peakRssMb }: Timed<unknown>) => ({
    seconds: Number(seconds.toFixed(1)),
    cpuSeconds: Number(cpuSeconds.toFixed(1)),
    megabytesPerSecond: Math.round(megabytes / seconds),
    peakRssMb,
  });
  const result = {
    rows: written.value.rows,
    megabytes: Math.round(megabytes),
    fileMegabytes: Math.round(written.value.size / 1e6),
    cores: availableParallelism(),
    load: loadavg()[0],
    rssBeforeMb: before,
    backup: figure(written),
    verify: figure(verified),
    restore: figure(restored),
  };
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
} finally {
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
}
