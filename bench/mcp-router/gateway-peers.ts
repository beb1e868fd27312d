import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { startSystem } from '../../test/helpers/running-system.ts';
import { Gateway, type GatewayName, versions } from './gateways.ts';
import {
  addedTo,
  beginSession,
  inTurn,
  judged,
  machine,
  ownIds,
  record,
  shareOf,
  type Target,
  type Timing,
  trees,
  typical,
} from './measuring.ts';

/*
 * The same program on standard input and output behind the whole product (supervised bridge, sign-in, audit: everything
 * on) and behind supergateway and mcp-proxy, which have neither. Usage: node bench/mcp-router/gateway-peers.ts [--quick]
 * [--only fast,sdk]
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: 'fast,sdk' } },
});
const { quick } = values;
const timing: Timing = { rounds: quick ? 1 : 5, durationMs: quick ? 1_500 : 2_500, warmUpMs: 500 };
const bars = { fast: 3, sdk: 1 } as const;
const servers = (Object.keys(bars) as (keyof typeof bars)[]).filter((name) => values.only.split(',').includes(name));
const files = {
  fast: join(import.meta.dirname, 'stdio-fast.mjs'),
  sdk: join(import.meta.dirname, 'stdio-sdk.ts'),
};

type Mode = 'session-less' | 'session';
type Name = `${'systemprompt' | GatewayName} ${Mode}`;
const gatewayNames = Object.keys(versions) as GatewayName[];
const modes: readonly Mode[] = ['session-less', 'session'];

const configuration = servers.map(
  (name) =>
    `  ${name}: { type: stdio, command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(files[name])}], description: test, oauth: { scopes: [user] } }\n`,
);

Gateway.install();
const system = await startSystem(async ({ root }) => {
  const folder = join(root, 'services', 'mcp');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'bench.yaml'), `mcp_servers:\n${configuration.join('')}`);
});
const gateways: Gateway[] = [];
const rows = [];
const judgements = [];
try {
  const apiPort = Number(new URL(system.url).port);
  for (const server of servers) {
    const token = await system.token('--server', server);
    const path = `/api/v1/mcp/${server}/mcp`;
    const session = (id: string) => ({ headers: { 'mcp-session-id': id }, each: ownIds() });
    const running = (await markedProcesses(system.instance.id)).map(({ identity }) => identity.pid);
    const ours = { port: apiPort, path, token, pids: () => trees(running) };
    const targets: Target<Name>[] = [
      { name: 'systemprompt session-less', ...ours },
      {
        name: 'systemprompt session',
        ...ours,
        ...session(await beginSession(`http://127.0.0.1:${apiPort}${path}`, token)),
      },
    ];
    for (const name of gatewayNames) {
      for (const mode of modes) {
        const gateway = await Gateway.start(name, mode === 'session', files[server]);
        gateways.push(gateway);
        // One that starts a program for each request: what has ended can't be asked any more.
        const pids = () => (name === 'supergateway' && mode === 'session-less' ? [] : trees([gateway.pid]));
        const more = mode === 'session' ? session(await beginSession(gateway.url)) : {};
        targets.push({ name: `${name} ${mode}`, port: gateway.port, path: '/mcp', ...more, pids });
      }
    }
    for (const connections of [1, 32]) {
      const results = await inTurn(targets, connections, timing);
      const own = results['systemprompt session-less'];
      const best = gatewayNames.map((name) => {
        const [one, other] = modes.map((mode) => results[`${name} ${mode}`]);
        if (one === undefined || other === undefined) throw new Error(`${name} was not measured`);
        return { name, results: typical(one).callsPerSecond > typical(other).callsPerSecond ? one : other };
      });
      for (const { name } of targets) {
        const { callsPerSecond, p50, p99, cpuUs } = typical(results[name]);
        const peer = best.find((each) => each.results === results[name]);
        rows.push({
          server,
          connections,
          target: name,
          ...{ callsPerSecond, p50, p99 },
          ...(cpuUs === undefined ? {} : { cpuUs }),
          ...(peer === undefined
            ? {}
            : { ours: shareOf(own, peer.results), oursAddedP50Ms: addedTo(own, peer.results) }),
        });
      }
      for (const { name, results: theirs } of best) {
        const ratio = shareOf(own, theirs);
        const judgement = `${server}, ${connections} connections, of ${name}: ≥ ${bars[server]}`;
        judgements.push({ server, connections, peer: name, ...judged(judgement, ratio, ratio >= bars[server]) });
      }
    }
    for (const gateway of gateways.splice(0)) await gateway.stop();
  }
  console.table(rows);
  const results = {
    name: 'gateway-peers',
    method: {
      what: 'tools/call of one program on standard input and output: through the running product (supervisor, API process, supervised bridge process; token, scopes, intent and outcome committed, signed identity) and through other gateways, which check and record nothing; fast answers each line at once, sdk is made with the official SDK',
      modes:
        'session-less: single requests without initialize; session: all connections in one session, each request with an id of its own; of each peer the better mode counts',
      load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
      ...timing,
      chosen:
        'targets take turns; figures of the round with the median calls per second, ratios within each round and the median of those',
    },
    versions,
    machine: machine(),
    bars,
    rows,
    judgements,
  };
  if (!quick && servers.length === 2) await record('gateway-peers', results);
} finally {
  for (const gateway of gateways) await gateway.stop();
  await system[Symbol.asyncDispose]();
}
