// Writes the tables of docs/performance.md from bench/results/*.json, so that no figure is copied by hand. With --check
// it writes nothing and fails when the page is out of date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const path = join(root, 'docs/performance.md');
const resultFile = (name) => join(root, `bench/results/${name}.json`);
const result = (name) => JSON.parse(readFileSync(resultFile(name), 'utf8'));
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

function build() {
  const { floor, first, builds, bars, method, machine: of } = result('build');
  const bar = ({ met: holds }) =>
    holds === undefined ? '' : `≤ ${bars.unchangedMs} ms, ≤ ${bars.unchangedRatio}: ${met(holds)}`;
  const rows = [
    ['`node -e 0`', `${floor.medianMs} ms`, '', '1', ''],
    ...builds.map((figures) => [
      figures.name,
      `${figures.medianMs} ms`,
      `${figures.maxMs} ms`,
      figures.ratio,
      bar(figures),
    ]),
    ...first.map(({ extensions, ms }) => [`first build, ${extensions} of them`, `${ms} ms`, '', '', '']),
  ];
  return `${table(['`build mcp`', 'median', 'max', 'ratio', 'bar'], rows)}\n\nMethod: ${method}. Machine: ${machine(of)}; its load average before: ${of.loadAverageBefore}.`;
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
    const directBar =
      backend === 'sdk' && connections > 1 && bars.sdkOfDirectAt32 !== undefined
        ? `; ≥ ${bars.sdkOfDirectAt32} of direct: ${met(ours.ofDirect >= bars.sdkOfDirectAt32)}`
        : '';
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
      line('direct', direct, '', '', ''),
      line('floor', floor, '', '', ''),
      line('systemprompt', ours, ours.ofFloor, ours.ofDirect, `${bar}${directBar}`),
    ];
  });
  const grown = memory.after;
  return [
    table(
      [
        ...['backend', 'connections', 'target', 'calls/s', 'p50 ms', 'p99 ms', 'added p50 ms', 'of the floor'],
        ...['of direct', 'bar'],
      ],
      rows,
    ),
    `What one call costs in the router, step by step (one connection, µs; CPU: of the API's own process):`,
    table(
      ['step', 'µs', 'CPU µs'],
      steps.map(({ step, us, cpuUs }) => [step, us, cpuUs ?? '']),
    ),
    `Memory of the API under this load, resident:`,
    table(['calls', 'MB'], [[0, memory.idleMb], ...grown.map(({ calls, rssMb }) => [calls, rssMb])]),
    `Method: ${method.what}. Load: ${method.load}; ${method.rounds} rounds of ${method.durationMs} ms after ${method.warmUpMs} ms; ${method.chosen}. Database: ${method.database}. Machine: ${machine(of)}.`,
  ].join('\n\n');
}

const measuredBy = (method, of) =>
  `Method: ${method.what}. Load: ${method.load}; ${method.rounds} rounds of ${method.durationMs} ms after ${method.warmUpMs} ms; ${method.chosen}.${method.database === undefined ? '' : ` Database: ${method.database}.`} Machine: ${machine(of)}; its load average before: ${of.loadAverageBefore}.`;

function transports() {
  const { forms, clients, bars, method, machine: of } = result('mcp-transports');
  const figures = ({ connections, direct, floor, ours }) => [
    connections,
    direct.callsPerSecond,
    floor.callsPerSecond,
    ours.callsPerSecond,
    ours.p50,
    ours.p99,
    ours.addedP50Ms,
    ours.ofFloor,
    ours.ofDirect,
  ];
  const bar = ({ connections, ours }) =>
    connections === 32 ? `≥ ${bars.ofFloorAt32} of the floor: ${met(ours.ofFloor >= bars.ofFloorAt32)}` : '';
  const head = [
    ...['connections', 'direct calls/s', 'floor calls/s', 'systemprompt calls/s', 'p50 ms', 'p99 ms', 'added p50 ms'],
    ...['of the floor', 'of direct'],
  ];
  return [
    table(
      ['answer', ...head, 'bar'],
      forms.map((row) => [row.form, ...figures(row), bar(row)]),
    ),
    'By the number of clients, each with a connection of its own (JSON, without a session):',
    table(head, clients.map(figures)),
    measuredBy(method, of),
  ].join('\n\n');
}

function fleet() {
  const { rows, bars, method, machine: of } = result('mcp-fleet');
  return [
    table(
      ['servers', 'calls/s', 'p50 ms', 'p99 ms', 'of one server', 'API, resident', 'bar'],
      rows.map(({ servers, callsPerSecond, p50, p99, ofOneServer, rssMb }) => [
        servers,
        callsPerSecond,
        p50,
        p99,
        ofOneServer,
        `${rssMb} MB`,
        servers === 1 ? '' : `≥ ${bars.ofOneServer}: ${met(ofOneServer >= bars.ofOneServer)}`,
      ]),
    ),
    measuredBy(method, of),
  ].join('\n\n');
}

function gatewayPeers() {
  const { rows, judgements, bars, versions, method, machine: of } = result('gateway-peers');
  const versionOf = (target) => {
    const [name, mode] = target.split(' ');
    if (name === 'bridge') return target;
    return `${name}${versions[name] === undefined ? '' : ` ${versions[name]}`}, ${mode}`;
  };
  return [
    table(
      ['program', 'connections', 'behind', 'calls/s', 'p50 ms', 'p99 ms', 'CPU µs each'],
      rows.map(({ server, connections, target, callsPerSecond, p50, p99, cpuUs }) => [
        server,
        connections,
        versionOf(target),
        callsPerSecond,
        p50,
        p99,
        cpuUs ?? '',
      ]),
    ),
    'Calls per second, single requests without a session, against the better mode of each peer:',
    table(
      ['program', 'connections', 'what', 'peer', 'ratio', 'bar'],
      judgements.map(({ server, connections, what, peer, ratio, met: holds }) => [
        server,
        connections,
        what,
        peer,
        ratio,
        `≥ ${bars[server]}: ${met(holds)}`,
      ]),
    ),
    `${measuredBy(method, of)} ${method.modes[0].toUpperCase()}${method.modes.slice(1)}. CPU: of all processes on the way, the program among them, without the load generator.`,
  ].join('\n\n');
}

function streams() {
  const {
    streams: count,
    idleMb,
    openMb,
    busyMb,
    overMb,
    kbEach,
    through,
    direct,
    bar,
    method,
    machine: of,
  } = result('streams');
  const late = ({ p50, p99, max }) => [`${p50} ms`, `${p99} ms`, `${max} ms`];
  return [
    table(
      ['what', 'figure', 'bar'],
      [
        ['API, idle', `${idleMb} MB`, ''],
        [`with ${count} streams open`, `${openMb} MB`, ''],
        ['after the events', `${busyMb} MB`, ''],
        ['over idle', `${overMb} MB, ${kbEach} kB a stream`, `≤ ${bar.overMb} MB: ${met(bar.met)}`],
      ],
    ),
    'How late an event comes:',
    table(
      ['over', 'p50', 'p99', 'max'],
      [
        ['the server straight', ...late(direct)],
        ['systemprompt', ...late(through)],
      ],
    ),
    `Method: ${method}. Machine: ${machine(of)}; its load average before: ${of.loadAverageBefore}.`,
  ].join('\n\n');
}

function auditGrowth() {
  const { rows, bars, method, machine: of } = result('audit-growth');
  const lists = Object.keys(rows[0].lists);
  return [
    table(
      ['calls on record', 'size', 'calls/s', 'p50 ms', 'p99 ms', 'empty audit calls/s', 'of empty', 'bar'],
      rows.map(({ calls, mb, callsPerSecond, p50, p99, empty, ofEmpty }) => [
        calls,
        `${mb} MB`,
        callsPerSecond,
        p50,
        p99,
        empty,
        ofEmpty,
        calls === 0 ? '' : `≥ ${bars.ofEmpty}: ${met(ofEmpty >= bars.ofEmpty)}`,
      ]),
    ),
    'Lists of calls (`admin audit list`, the query), ms:',
    table(
      ['calls on record', ...lists],
      rows.map(({ calls, lists: times }) => [calls, ...lists.map((name) => times[name] ?? 'given up')]),
    ),
    measuredBy(method, of),
  ].join('\n\n');
}

function supervisor() {
  const {
    starts,
    idle,
    recovery,
    underLoad,
    product,
    pm2,
    rounds,
    kills,
    idleSeconds,
    machine: of,
  } = result('supervisor');
  const ratio = (own, other) => Math.round((own / other) * 100) / 100;
  const bar = (own, other) => met(own < other);
  const compared = (what, unit, own, other) => [
    what,
    `${own} ${unit}`,
    `${other} ${unit}`,
    other === 0 ? '' : ratio(own, other),
    bar(own, other),
  ];
  const services = (count) => `${count} ${count === 1 ? 'service' : 'services'}`;
  const rows = [
    ...starts.map(({ services: count, own, pm2: peer }) =>
      compared(`start, ${services(count)}: command to all ready`, 'ms', own.readyMs, peer.readyMs),
    ),
    compared('supervisor with 50 services, resident', 'MB', idle.own.rss, idle.pm2.rss),
    compared('the same, shared pages divided (PSS)', 'MB', idle.own.pss, idle.pm2.pss),
    compared('its CPU while they idle', '%', idle.own.cpuPercent, idle.pm2.cpuPercent),
    compared('the same, not asking services how they are', '%', idle.ownWithoutChecks.cpuPercent, idle.pm2.cpuPercent),
    compared('SIGKILL of a service to its next answer, median', 'ms', recovery.own.medianMs, recovery.pm2.medianMs),
  ];
  const orders = Object.entries({ ...underLoad, ...prefixed('whole product: ', product.restarts) });
  return [
    table(['what', 'systemprompt', `pm2 ${pm2}`, 'ratio', 'ahead'], rows),
    'Restarts under load, one after another:',
    table(
      ['order', 'restarts', 'requests', 'failed', 'order takes'],
      orders.map(([name, { restarts, requests, calls, failed, orderMs }]) => [
        name,
        restarts,
        requests ?? calls,
        failed,
        `${orderMs} ms`,
      ]),
    ),
    'For comparison, what pm2 has no part in:',
    table(
      ['what', 'figure'],
      [
        ...starts.map(({ services: count, ownWithDatabase }) => [
          `start, ${services(count)}, PostgreSQL's own start included`,
          `${ownWithDatabase.readyMs} ms`,
        ]),
        [
          'start of the whole product: PostgreSQL, API, two MCP servers, by `infra services start`',
          `${product.startMs} ms`,
        ],
        ["PostgreSQL's CPU while all idle", `${idle.own.postgresCpuPercent} %`],
      ],
    ),
    `Method: both run the same program (bench/supervisor/service.mjs), in turn, on one machine. Starts: median of ${rounds} (of 50 services: ${Math.min(3, rounds)}), from spawning the command, nothing of the supervisor running, until every port has answered /healthz with 200; systemprompt's PostgreSQL runs already and is not counted, its rows are written. Idle: ${idleSeconds} s, CPU by the scheduler's own count, the supervisor's processes only. Recovery: ${kills} kills, each of another service (one that falls twice within a minute waits half a second under systemprompt, and not under pm2). Load: 16 clients over kept connections, 5 ms a request. pm2: installed from the registry for the run, wait_ready as its documentation says, without its instrumentation (pmx: false), whose cost is not compared. Machine: ${machine(of)}; its load average before: ${of.loadAverageBefore}.`,
  ].join('\n\n');
}

function auth() {
  const { issue, verification, bars, method, machine: of } = result('auth');
  const least = { 'client credentials': bars.clientCredentialsOfBare, 'refresh rotation': bars.refreshOfBare };
  const rows = issue.flatMap(({ what, connections, bare, ours, ofBare }) => [
    [what, connections, 'bare', bare.callsPerSecond, bare.p50, bare.p99, bare.cpuUs, '', ''],
    [
      what,
      connections,
      'systemprompt',
      ours.callsPerSecond,
      ours.p50,
      ours.p99,
      ours.cpuUs,
      ofBare,
      `≥ ${least[what]}: ${met(ofBare >= least[what])}`,
    ],
  ]);
  const steps = verification.steps.map(({ step, us }) => [
    step,
    us,
    step.includes('(warm)') ? `≤ ${bars.warmUs}: ${met(us <= bars.warmUs)}` : '',
  ]);
  return [
    table(['what', 'connections', 'server', 'tokens/s', 'p50 ms', 'p99 ms', 'CPU µs each', 'of bare', 'bar'], rows),
    'To let one token in:',
    table(['step', 'µs', 'bar'], steps),
    'Requests to an address that is open without a token, and tells more with one:',
    table(
      ['what', 'calls/s', 'p50 ms', 'p99 ms', 'added p50 ms'],
      verification.calls.map(({ what, result: { callsPerSecond, p50, p99 }, addedP50Ms }) => [
        what,
        callsPerSecond,
        p50,
        p99,
        addedP50Ms ?? '',
      ]),
    ),
    `Method: ${method.what}. Load: ${method.load}; ${method.rounds} rounds of ${method.durationMs} ms after ${method.warmUpMs} ms; ${method.chosen}. Database: ${method.database}. Machine: ${machine(of)}; its load average before: ${of.loadAverageBefore}.`,
  ].join('\n\n');
}

function prefixed(prefix, figures) {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}${name}`, value]));
}

const parts = {
  'cold-start': coldStart,
  build,
  footprint,
  streams,
  'mcp-router': router,
  'mcp-transports': transports,
  'mcp-fleet': fleet,
  'gateway-peers': gatewayPeers,
  'audit-growth': auditGrowth,
  supervisor,
  auth,
};
const page = readFileSync(path, 'utf8');
// What was never measured has no table.
const measured = Object.entries(parts).filter(([name]) => existsSync(resultFile(name)));
const written = measured.reduce(
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
