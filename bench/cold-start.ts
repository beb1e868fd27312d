import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { runScript } from '../test/helpers/cli.ts';
import { startSystem } from '../test/helpers/running-system.ts';

/*
 * How long the command line takes to answer, as a ratio to a Node.js that does nothing, in the same run. The cases take
 * turns, so that what else the machine does falls on all of them; `status` asks a system that runs.
 * Usage: node bench/cold-start.ts [--quick]
 */

const rounds = process.argv.includes('--quick') ? 10 : 50;
const warmUps = 3;
const bars = { version: 1.3, help: 3, status: 4.5 };

const system = await startSystem();
const cases = {
  floor: ['-e', '0'],
  version: [runScript, '--version'],
  help: [runScript, '--help'],
  status: [runScript, 'infra', 'services', 'status'],
};
type Case = keyof typeof cases;
const names = Object.keys(cases) as Case[];
const times = new Map<Case, number[]>(names.map((name) => [name, []]));

/** Milliseconds from spawn to exit. @throws when the command fails: a failure may be fast */
function once(name: Case): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, cases[name], { cwd: system.instance.root });
  const ms = performance.now() - start;
  if (status !== 0) throw new Error(`${name} failed with ${status}: ${stderr}`);
  return ms;
}

function quantile(name: Case, share: number): number {
  const sorted = (times.get(name) ?? []).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Each run against the floor of its own turn, so that a busy moment counts on both sides. */
function ratioOf(name: Case): number {
  const floors = times.get('floor') ?? [];
  const ratios = (times.get(name) ?? []).map((ms, turn) => ms / (floors[turn] ?? Number.NaN)).toSorted((a, b) => a - b);
  return round(ratios[Math.floor(ratios.length / 2)] ?? Number.NaN);
}

const round = (value: number): number => Math.round(value * 100) / 100;

try {
  for (let turn = -warmUps; turn < rounds; turn += 1) {
    for (const name of names) {
      const ms = once(name);
      if (turn >= 0) times.get(name)?.push(ms);
    }
  }
} finally {
  await system[Symbol.asyncDispose]();
}

const floor = quantile('floor', 0.5);
const measured = (['version', 'help', 'status'] as const).map((name) => {
  const ratio = ratioOf(name);
  return {
    name,
    medianMs: round(quantile(name, 0.5)),
    p90Ms: round(quantile(name, 0.9)),
    ratio,
    bar: bars[name],
    met: ratio <= bars[name],
  };
});
const result = {
  bench: 'cold-start',
  date: new Date().toISOString().slice(0, 10),
  method: `median of ${rounds} runs each, taking turns, after ${warmUps} warm-ups; spawn to exit; compile cache warm; ratio: median of each run to the node -e 0 of its turn`,
  machine: {
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
  },
  floor: { medianMs: round(floor), p90Ms: round(quantile('floor', 0.9)) },
  commands: measured,
};
const folder = join(import.meta.dirname, 'results');
await mkdir(folder, { recursive: true });
await writeFile(join(folder, 'cold-start.json'), `${JSON.stringify(result, undefined, 2)}\n`);
process.stdout.write(`node -e 0  ${round(floor)} ms\n`);
for (const { name, medianMs, ratio, bar, met } of measured) {
  process.stdout.write(`${name.padEnd(10)} ${medianMs} ms, ${ratio} times (bar ${bar}) ${met ? 'met' : 'MISSED'}\n`);
}
process.exitCode = measured.every(({ met }) => met) ? 0 : 1;
