import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { runScript } from '../test/helpers/cli.ts';
import {
  type ExtensionProject,
  extensionProject,
  helloService,
  serverSource,
} from '../test/helpers/extension-project.ts';

/*
 * How long `build mcp` takes, the whole command from spawn to exit, as a ratio to a Node.js that does nothing in the same
 * turn: with nothing changed, and with one source changed. The cases take turns, so that what else the machine does falls
 * on all of them.
 * Usage: node bench/build.ts [--quick]
 */

const rounds = process.argv.includes('--quick') ? 10 : 30;
const warmUps = 2;
/** ms of an unchanged build, the slowest of all rounds; and its median against the floor. */
const bars = { unchangedMs: 1000, unchangedRatio: 8 };
const many = 20;

/** @param count of extensions, `hello` and others like it */
function projectWith(count: number): ExtensionProject {
  const project = extensionProject();
  for (let n = 1; n < count; n += 1) {
    const name = `hello-${n}`;
    project.write(`extensions/mcp/${name}/index.ts`, serverSource({ name }));
    project.write(`extensions/mcp/${name}/manifest.yaml`, `extension:\n  type: mcp\n  name: ${name}\n`);
    project.write(
      `services/mcp/${name}.yaml`,
      helloService
        .replace('hello:', `${name}:`)
        .replace('mcp/hello', `mcp/${name}`)
        .replace('5320', String(5320 + n)),
    );
  }
  return project;
}

/** Milliseconds from spawn to exit. @throws when it fails: a failure may be fast */
function once(args: readonly string[], cwd: string): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [...args], { cwd });
  const ms = performance.now() - start;
  if (status !== 0) throw new Error(`${args.join(' ')} failed with ${status}: ${stderr}`);
  return ms;
}

using one = projectWith(1);
using twenty = projectWith(many);
const build = [runScript, 'build', 'mcp'];
const firstMs = { 1: once(build, one.root), [many]: once(build, twenty.root) };

let edit = 0;
const cases = {
  floor: () => once(['-e', '0'], one.root),
  'unchanged, 1 extension': () => once(build, one.root),
  [`unchanged, ${many} extensions`]: () => once(build, twenty.root),
  [`1 of ${many} changed`]: () => {
    edit += 1;
    twenty.write('extensions/mcp/hello/index.ts', serverSource({ words: `hello ${edit}` }));
    return once(build, twenty.root);
  },
};
const names = Object.keys(cases) as (keyof typeof cases)[];
const times = new Map<string, number[]>(names.map((name) => [name, []]));
const loadBefore = loadavg()[0] ?? 0;
for (let turn = -warmUps; turn < rounds; turn += 1) {
  for (const name of names) {
    const ms = cases[name]?.() ?? Number.NaN;
    if (turn >= 0) times.get(name)?.push(ms);
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;
const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const at = (values: readonly number[], share: number): number =>
  round(sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN);
const floors = times.get('floor') ?? [];
const measured = names
  .filter((name) => name !== 'floor')
  .map((name) => {
    const own = times.get(name) ?? [];
    // Each run against the floor of its own turn, so that a busy moment counts on both sides.
    const ratio = at(
      own.map((ms, turn) => ms / (floors[turn] ?? Number.NaN)),
      0.5,
    );
    const maxMs = at(own, 1);
    const figures = { name, medianMs: at(own, 0.5), p90Ms: at(own, 0.9), maxMs, ratio };
    if (!name.startsWith('unchanged')) return figures;
    return { ...figures, met: maxMs <= bars.unchangedMs && ratio <= bars.unchangedRatio };
  });

const result = {
  bench: 'build',
  date: new Date().toISOString().slice(0, 10),
  method: `${rounds} runs each, taking turns, after ${warmUps} warm-ups; spawn to exit of the whole command; ratio: median of each run to the node -e 0 of its turn`,
  machine: {
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    loadAverageBefore: round(loadBefore),
  },
  bars,
  floor: { medianMs: at(floors, 0.5), p90Ms: at(floors, 0.9) },
  first: Object.entries(firstMs).map(([extensions, ms]) => ({ extensions: Number(extensions), ms: round(ms) })),
  builds: measured,
};
const folder = join(import.meta.dirname, 'results');
await mkdir(folder, { recursive: true });
await writeFile(join(folder, 'build.json'), `${JSON.stringify(result, undefined, 2)}\n`);
process.stdout.write(`node -e 0  ${result.floor.medianMs} ms\n`);
for (const { name, medianMs, maxMs, ratio, ...rest } of measured) {
  const verdict = 'met' in rest ? ` ${rest.met ? 'met' : 'MISSED'}` : '';
  process.stdout.write(`${name.padEnd(26)} ${medianMs} ms (max ${maxMs}), ${ratio} times${verdict}\n`);
}
process.exitCode = measured.every((figures) => !('met' in figures) || figures.met) ? 0 : 1;
