import { createSecretKey, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { loadProfile } from '../../src/lib/infra/config/profile.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { deriveIdentityKey, signIdentity } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId, SessionId, UserId } from '../../src/lib/shared/ids.ts';
import { startSystem } from '../../test/helpers/running-system.ts';
import { until } from '../../test/helpers/until.ts';
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
type Name = `${'systemprompt' | GatewayName} ${Mode}` | 'bridge alone';
const gatewayNames = Object.keys(versions) as GatewayName[];
const modes: readonly Mode[] = ['session-less', 'session'];

const configuration = servers.map(
  (name) =>
    `  ${name}: { type: stdio, command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(files[name])}], description: test, oauth: { scopes: [user] } }\n`,
);

/** What stands before the program, asked as the router asks it: what is left without sign-in, policy and audit. */
async function bridgeOf(server: string): Promise<Target<Name>> {
  const { instance } = system;
  const secrets = await openSecretStore(instance);
  const profile = await loadProfile(instance, 'local', {});
  const { host, port, database, user, password } = await connectionFor(instance, profile, secrets, 'owner');
  const client = new pg.Client({ host, port, database, user, password });
  await client.connect();
  const { rows: found } = await client.query<{ instance_id: ServiceInstanceId; port: number }>(
    'SELECT instance_id, port FROM services WHERE name = $1',
    [`mcp:${server}`],
  );
  await client.end();
  const [service] = found;
  if (service === undefined) throw new Error(`${server} does not run`);
  const root = Buffer.from(await secrets.require('identity.root'), 'base64url');
  const key = createSecretKey(deriveIdentityKey(root, service.instance_id));
  let signedAt = 0;
  let header = '';
  const each = () => {
    const iat = Math.floor(Date.now() / 1_000);
    if (iat > signedAt + 10) {
      signedAt = iat;
      const who = { sub: randomUUID() as UserId, name: 'bench', sid: randomUUID() as SessionId, scopes: ['user'] };
      header = signIdentity(key, { aud: service.instance_id, ...who, iat, exp: iat + 60 });
    }
    return { 'x-systemprompt-identity': header };
  };
  const own = (await markedProcesses(instance.id)).filter((one) => one.service === `mcp:${server}`);
  const pids = () => trees(own.map(({ identity }) => identity.pid));
  return { name: 'bridge alone', port: service.port, path: '/mcp', each, pids };
}

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
    targets.push(await bridgeOf(server));
    for (const name of gatewayNames) {
      for (const mode of modes) {
        const gateway = await Gateway.start(name, mode === 'session', files[server]);
        gateways.push(gateway);
        // One that starts a program for each request: what has ended can't be asked any more.
        const spawns = name === 'supergateway' && mode === 'session-less';
        const pids = () => (spawns ? [] : trees([gateway.pid]));
        const alone = () => until('its programs have ended', () => trees([gateway.pid]).length === 1, 60_000);
        const settled = spawns ? { settled: alone } : {};
        const more = mode === 'session' ? session(await beginSession(gateway.url)) : {};
        targets.push({ name: `${name} ${mode}`, port: gateway.port, path: '/mcp', ...more, ...settled, pids });
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
      for (const [what, figures] of Object.entries({ systemprompt: own, 'bridge alone': results['bridge alone'] })) {
        for (const { name, results: theirs } of best) {
          const ratio = shareOf(figures, theirs);
          const judgement = `${server}, ${connections} connections, ${what} of ${name}: ≥ ${bars[server]}`;
          judgements.push({
            server,
            connections,
            what,
            peer: name,
            ...judged(judgement, ratio, ratio >= bars[server]),
          });
        }
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
        'session-less: single requests without initialize; session: all connections in one session, each request with an id of its own; of each peer the better mode counts; bridge alone: the bridge process asked as the router asks it, to see what is left without sign-in and audit',
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
