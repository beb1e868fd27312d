// Writes the tables of docs/performance.md from bench/results/*.json, so that no figure is copied by hand. With --check
// it writes nothing and fails when the page is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const path = join(root, 'docs/performance.md');
const result = (name) => JSON.parse(readFileSync(join(root, `bench/results/${name}.json`), 'utf8'));
const met = (holds) => (holds ? 'met' : '**missed**');
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const machine = ({ cpu, cpus, cores, memoryGb, node }) =>
  `${cpu}, ${cpus ?? cores} cores, ${memoryGb} GB, Node.js ${node}`;

function coldStart() {
  const { floor, commands, method, machine: of } = result('cold-start');
  const rows = commands.map(({ name, medianMs, p90Ms, ratio, bar }) => [
    name,
    `${medianMs} ms`,
    `${p90Ms} ms`,
    ratio,
    `≤ ${bar}`,
    met(ratio <= bar),
  ]);
  rows.unshift(['`node -e 0`', `${floor.medianMs} ms`, `${floor.p90Ms} ms`, '1', '', '']);
  return `${table(['command', 'median', 'p90', 'ratio', 'bar', ''], rows)}\n\nMethod: ${method}. Machine: ${machine(of)}.`;
}

function footprint() {
  const { firstStartMs, laterStartMs, rssMb, bars, method, machine: of } = result('footprint');
  const rows = [
    ['first start of an instance, built already', `${firstStartMs} ms`, '', ''],
    [
      'later start, command to all ready',
      `${laterStartMs.median} ms (max ${laterStartMs.max})`,
      `≤ ${bars.laterStartMs} ms`,
      met(laterStartMs.max <= bars.laterStartMs),
    ],
    [
      'supervisor, resident',
      `${rssMb.supervisor} MB`,
      `≤ ${bars.supervisorRssMb} MB`,
      met(rssMb.supervisor <= bars.supervisorRssMb),
    ],
    ['API, resident, idle', `${rssMb.api} MB`, `≤ ${bars.apiRssMb} MB`, met(rssMb.api <= bars.apiRssMb)],
    ['`systemprompt` MCP server, resident, idle', `${rssMb.mcp} MB`, '', ''],
  ];
  return `${table(['what', 'figure', 'bar', ''], rows)}\n\nMethod: ${method}. Machine: ${machine(of)}.`;
}

function router() {
  const { tables, steps, memory, bars, method, machine: of } = result('mcp-router');
  const rows = tables.flatMap(({ backend, connections, direct, floor, ours }) => {
    const bar =
      connections === 1
        ? `added ≤ ${bars.addedP50MsAt1} ms: ${met(ours.addedP50Ms <= bars.addedP50MsAt1)}`
        : `≥ ${bars.ofFloorAt32} of the floor: ${met(ours.ofFloor >= bars.ofFloorAt32)}`;
    const line = (name, { callsPerSecond, p50, p99, addedP50Ms }, ...rest) => [
      backend,
      connections,
      name,
      callsPerSecond,
      p50,
      p99,
      addedP50Ms ?? '',
      ...rest,
    ];
    return [
      line('direct', direct, '', ''),
      line('floor', floor, '', ''),
      line('systemprompt', ours, ours.ofFloor, bar),
    ];
  });
  const grown = memory.after;
  return [
    table(
      ['backend', 'connections', 'target', 'calls/s', 'p50 ms', 'p99 ms', 'added p50 ms', 'of the floor', 'bar'],
      rows,
    ),
    `What one call costs in the router, step by step (one connection, µs):`,
    table(
      ['step', 'µs'],
      steps.map(({ step, us }) => [step, us]),
    ),
    `Memory of the API under this load, resident:`,
    table(['calls', 'MB'], [[0, memory.idleMb], ...grown.map(({ calls, rssMb }) => [calls, rssMb])]),
    `Method: ${method.what}. Load: ${method.load}; ${method.rounds} rounds of ${method.durationMs} ms after ${method.warmUpMs} ms; ${method.chosen}. Database: ${method.database}. Machine: ${machine(of)}.`,
  ].join('\n\n');
}

const parts = { 'cold-start': coldStart, footprint, 'mcp-router': router };
const page = readFileSync(path, 'utf8');
const written = Object.entries(parts).reduce(
  (text, [name, make]) =>
    text.replace(
      new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- /${name} -->)`),
      (_, open, close) => `${open}${make()}\n${close}`,
    ),
  page,
);
if (written !== page) {
  if (process.argv.includes('--check')) {
    console.error('docs/performance.md is out of date: run node scripts/generate-performance-docs.mjs');
    process.exit(1);
  }
  writeFileSync(path, written);
}
