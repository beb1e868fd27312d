import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ApiRig } from '../../test/helpers/api-rig.ts';
import { type LoadResult, load } from './load.ts';
import {
  addedTo,
  echoCall,
  inTurn,
  judged,
  legacyHeaders,
  machine,
  Programs,
  record,
  rssMb,
  shareOf,
  type Target,
  type Timing,
  typical,
} from './measuring.ts';
import { measureSteps } from './steps.ts';

/*
 * The router against calling the same backend directly, and against a floor (token and two commits, nothing else), all
 * in one run. Usage: node bench/mcp-router/run.ts [--quick] [--only bare|sdk] [--cpu-prof <folder>]
 */

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const only = args[args.indexOf('--only') + 1];
const profileTo = args.includes('--cpu-prof') ? args[args.indexOf('--cpu-prof') + 1] : undefined;
const timing: Timing = { rounds: quick ? 1 : 7, durationMs: quick ? 2_000 : 2_500, warmUpMs: 500 };
const bars = { addedP50MsAt1: 1.5, ofFloorAt32: 0.6, sdkOfDirectAt32: 0.8, rssMbIdle: 130 };

type Who = 'direct' | 'floor' | 'ours';

async function compare(targets: readonly Target<Who>[], connections: number) {
  const { direct, floor, ours } = await inTurn(targets, connections, timing);
  return {
    connections,
    direct: typical(direct),
    floor: { ...typical(floor), addedP50Ms: addedTo(floor, direct) },
    ours: {
      ...typical(ours),
      addedP50Ms: addedTo(ours, direct),
      ofFloor: shareOf(ours, floor),
      ofDirect: shareOf(ours, direct),
    },
  };
}

const programs = new Programs();
const rig = await ApiRig.create(['bare', 'sdk'], createLocalInstance);
try {
  const backends = { bare: await programs.start('backend-bare.ts'), sdk: await programs.start('backend-sdk.ts') };
  for (const [name, port] of Object.entries(backends)) await rig.announce(name, port);
  const api = await rig.startApi(profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`]);
  const idleMb = rssMb(api.child.pid);
  const tables = [];
  for (const name of ['bare', 'sdk'] as const) {
    if (only !== undefined && args.includes('--only') && only !== name) continue;
    const token = await rig.token(name);
    const floorPort = await programs.floor(rig, name, backends[name]);
    const targets: Target<Who>[] = [
      { name: 'direct', port: backends[name], path: '/mcp' },
      { name: 'floor', port: floorPort, path: '/mcp', token },
      { name: 'ours', port: rig.port, path: `/api/v1/mcp/${name}/mcp`, token },
    ];
    for (const connections of [1, 32]) tables.push({ backend: name, ...(await compare(targets, connections)) });
  }
  const token = await rig.token('bare');
  const memory: { calls: number; rssMb: number }[] = [];
  const headers = { ...legacyHeaders, authorization: `Bearer ${token}` };
  for (let step = 1; step <= (quick ? 2 : 5); step += 1) {
    await load({
      port: rig.port,
      path: '/api/v1/mcp/bare/mcp',
      headers,
      body: echoCall,
      connections: 16,
      warmUpMs: 0,
      durationMs: 60_000,
      maxCalls: 10_000,
    });
    memory.push({ calls: step * 10_000, rssMb: rssMb(api.child.pid) });
  }
  const steps = await measureSteps(rig, echoCall, token, backends.bare);
  await rig.kill(api.child, 'SIGTERM');

  console.table(
    tables.flatMap(({ backend, connections, ...results }) =>
      (['direct', 'floor', 'ours'] as const).map((target) => {
        const { callsPerSecond, p50, p99, ...compared } = results[target] as LoadResult & Record<string, number>;
        const { calls: _, errors: __, connections: ___, ...more } = compared;
        return { backend, connections, target, 'calls/s': callsPerSecond, p50, p99, ...more };
      }),
    ),
  );
  console.table(steps);
  console.table([{ calls: 0, rssMb: idleMb }, ...memory]);
  const judgements = tables.flatMap(({ backend, connections, ours }) => {
    const { addedP50Ms, ofFloor, ofDirect } = ours;
    if (connections === 1) {
      const bar = `${backend}, one connection: ms added ≤ ${bars.addedP50MsAt1}`;
      return [judged(bar, addedP50Ms, addedP50Ms <= bars.addedP50MsAt1)];
    }
    const ofFloorBar = `${backend}, ${connections} connections: of the floor ≥ ${bars.ofFloorAt32}`;
    const ofDirectBar = `${backend}, ${connections} connections: of direct ≥ ${bars.sdkOfDirectAt32}`;
    return [
      judged(ofFloorBar, ofFloor, ofFloor >= bars.ofFloorAt32),
      ...(backend === 'sdk' ? [judged(ofDirectBar, ofDirect, ofDirect >= bars.sdkOfDirectAt32)] : []),
    ];
  });
  const results = {
    name: 'mcp-router',
    method: {
      what: 'tools/call through the API process (token, scopes, intent and outcome committed, signed identity) against the same backend called directly and a floor that only verifies the token and commits two rows',
      load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
      ...timing,
      chosen:
        'targets take turns; figures of the round with the median calls per second, comparisons within each round and the median of those',
      database: 'embedded PostgreSQL, fsync and synchronous_commit on',
    },
    machine: machine(),
    bars,
    tables,
    judgements,
    steps,
    memory: { idleMb, after: memory },
  };
  if (!quick && !args.includes('--only')) await record('mcp-router', results);
} finally {
  programs.end();
  await rig.remove();
}
