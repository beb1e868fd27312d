import { mkdirSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type AuditReport, compareAudit } from './audit.ts';
import { type Evidence, gatherEvidence } from './evidence.ts';
import { inject } from './faults.ts';
import { Load } from './load.ts';
import { type FaultKind, faultKinds, type PlannedFault, planFaults } from './plan.ts';
import { recover, straysThatStay } from './recovery.ts';
import { bars, type Episode, reportText, type SoakReport } from './report.ts';
import { SoakSystem } from './system.ts';
import { logs, Watch } from './watch.ts';

/*
 * Chaos with a seed, on the real product: faults as drawn, one after another and several at once, under a steady load of
 * tool calls; then what clients were told against the audit, and what is left in the system. Exits 1 when a bar is missed.
 */

const usage = `npm run test:soak -- [--seed <number>] [--minutes <number>] [--clients <number>] [--calls <number>] [--only <kind,…>] [--flips <number>] [--report <file.json>] [--keep]
--calls goes on until so many calls were acknowledged, however long it takes.
--flips is how many bytes of the audit are changed in the end, one after another; each has to be found.
Kinds: ${Object.keys(faultKinds).join(', ')}`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '8' },
    calls: { type: 'string' },
    only: { type: 'string', default: '' },
    flips: { type: 'string', default: '16' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed);
const minutes = Number(values.minutes);
const clients = Number(values.clients);
const calls = values.calls === undefined ? undefined : Number(values.calls);
const only = values.only.split(',').filter(Boolean) as FaultKind[];
const flips = Number(values.flips);
const unknown = only.find((kind) => !(kind in faultKinds));
if (
  values.help ||
  unknown !== undefined ||
  ![seed, minutes, clients, calls ?? 0, flips].every((n) => Number.isFinite(n) && n >= 0)
) {
  process.stderr.write(`${unknown === undefined ? '' : `there is no fault ${unknown}\n`}${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

const thinkMs = 40;
const gone = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => gone.abort(name));

const terminal = process.stdout.isTTY;
const say = (line: string): void => {
  process.stdout.write(`${terminal ? '\r\x1b[K' : ''}${line}\n`);
};

async function main(): Promise<number> {
  say(
    `seed ${seed}, ${minutes} min, ${clients} clients; again with: npm run test:soak -- --seed ${seed} --minutes ${minutes}`,
  );
  const system = await SoakSystem.create();
  const folder = join(tmpdir(), `systemprompt-soak-${seed}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  let failed = true;
  try {
    const report = await soak(system);
    if (report === undefined) return 130;
    const file = values.report ?? join(folder, 'report.json');
    writeFileSync(file, `${JSON.stringify({ ...report, bars: bars(report) }, null, 2)}\n`);
    say(`\n${reportText(report)}\n\nReport: ${file}`);
    failed = bars(report).some(({ met }) => !met);
    return failed ? 1 : 0;
  } finally {
    await system.kill();
    if (failed || values.keep) {
      await cp(system.instance.logsDir, join(folder, 'logs'), { recursive: true, force: true }).catch(() => {});
      say(`Logs: ${join(folder, 'logs')}`);
    }
    await system.remove();
  }
}

async function soak(system: SoakSystem): Promise<SoakReport | undefined> {
  const begun = await system.cli('infra', 'services', 'start');
  if (begun.code !== 0) throw new Error(`the system did not start (${begun.code}):\n${begun.stdout}\n${begun.stderr}`);
  const watch = new Watch(system);
  const load = new Load(system, clients, thinkMs);
  const episodes: Episode[] = [];
  const orphans = new Set<string>();
  const twins = new Set<string>();
  const begin = performance.now();
  const end = begin + minutes * 60_000;
  const progress = setInterval(() => {
    const passed = Math.round((performance.now() - begin) / 1000);
    const last = episodes.at(-1);
    const words =
      last === undefined ? '' : `, last ${last.faults.at(-1)?.kind} ready in ${last.recovery?.readyMs ?? '?'} ms`;
    const line = `${clock(passed)} of ${clock(minutes * 60)}  ${episodes.length} episodes, ${load.told.acknowledged.size} of ${load.told.sent} calls${words}`;
    if (terminal) process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 100) - 1)}`);
  }, 250);
  try {
    await delay(1_000);
    for (const first of episodesOf(planFaults(seed, only))) {
      if (gone.signal.aborted) break;
      // Until so many calls were acknowledged, where that is asked for; otherwise for so long.
      if (calls === undefined ? performance.now() > end : load.told.acknowledged.size >= calls) break;
      const episode = await runEpisode(system, load, first);
      episodes.push(episode);
      say(`${clock((performance.now() - begin) / 1000)}  ${describe(episode)}`);
      const found = await straysThatStay(system, gone.signal);
      for (const orphan of found.orphans) orphans.add(orphan);
      for (const twin of found.twins) twins.add(twin);
      if (found.orphans.length + found.twins.length > 0) say(`       ${[...found.orphans, ...found.twins].join('; ')}`);
      if (episode.recovery === undefined) break;
    }
    if (gone.signal.aborted) return undefined;
  } finally {
    clearInterval(progress);
    watch.stop();
    await load.stop();
  }
  const audit: AuditReport | undefined = await compareAudit(system, load.told).catch((error: unknown) => {
    say(`the audit can't be read: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  });
  const evidence: Evidence | undefined =
    flips === 0
      ? undefined
      : await gatherEvidence(system, seed, flips).catch((error: unknown) => ({
          unproven: [error instanceof Error ? error.message : String(error)],
          flips: 0,
          unnoticed: [],
        }));
  const logged = logs(system);
  await system.cli('infra', 'services', 'stop');
  const { told } = load;
  return {
    seed,
    minutes,
    node: process.version,
    episodes,
    calls: {
      sent: told.sent,
      acknowledged: told.acknowledged.size,
      failed: told.failedAt.length,
      failures: Object.fromEntries(told.failures),
    },
    audit,
    evidence,
    orphans: [...orphans],
    twins: [...watch.twins, ...twins],
    left: await system.footprint(),
    growth: watch.growth(),
    logs: logged,
  };
}

/** Faults that are to come at once, together. */
function* episodesOf(plan: Generator<PlannedFault, never>): Generator<readonly PlannedFault[], never> {
  for (;;) {
    const together: PlannedFault[] = [];
    do together.push(plan.next().value);
    while (together.at(-1)?.burst === true);
    yield together;
  }
}

async function runEpisode(system: SoakSystem, load: Load, faults: readonly PlannedFault[]): Promise<Episode> {
  const failedBefore = load.told.failedAt.length;
  const done: Episode['faults'][number][] = [];
  const victims = new Set<number>();
  let since = performance.now();
  for (const fault of faults) {
    await delay(done.length === 0 ? fault.afterMs : fault.afterMs / 4, undefined, { signal: gone.signal }).catch(
      () => {},
    );
    if (gone.signal.aborted) break;
    try {
      const injected = await inject[fault.kind](system, fault);
      since = injected.since;
      if (injected.victim !== undefined) victims.add(injected.victim);
      done.push({ kind: fault.kind, what: injected.what });
    } catch (error) {
      since = performance.now();
      done.push({ kind: fault.kind, what: `not over: ${error instanceof Error ? error.message : String(error)}` });
    }
  }
  const recovery = await recover(system, load, since, victims, gone.signal);
  const failedCalls = load.told.failedAt.length - failedBefore;
  return { at: new Date().toISOString(), faults: done, recovery, failedCalls };
}

function describe({ faults, recovery, failedCalls }: Episode): string {
  const what = faults.map(({ kind, what: words }) => `${kind} (${words})`).join(' + ');
  const how = recovery === undefined ? 'NOT READY' : `ready ${recovery.readyMs} ms, serving ${recovery.servingMs} ms`;
  const orders =
    recovery === undefined || recovery.orders.length === 0 ? '' : `; started by hand: ${recovery.orders.join(' | ')}`;
  return `${what}: ${how}, ${failedCalls} calls failed${orders}`;
}

function clock(seconds: number): string {
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(Math.floor(seconds) % 60).padStart(2, '0')}`;
}

process.exit(await main());
