import { parseArgs } from 'node:util';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ApiRig } from '../../test/helpers/api-rig.ts';
import {
  echoCall,
  inTurn,
  judged,
  machine,
  Programs,
  record,
  rssMb,
  shareOf,
  type Target,
  type Timing,
  typical,
} from './measuring.ts';

/*
 * What a call costs with the size of the fleet: instances of 1, 10 and 100 servers, in turn, calls going to all servers of
 * each. Usage: node bench/mcp-router/fleet.ts [--quick]
 */

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const { quick } = values;
const timing: Timing = { rounds: quick ? 2 : 7, durationMs: quick ? 1_000 : 2_000, warmUpMs: 500 };
const connections = 32;
const sizes = [1, 10, 100] as const;
type Name = `${(typeof sizes)[number]}`;
const bars = { ofOneServer: 0.9 };

const programs = new Programs();
const fleets: { readonly size: number; readonly rig: ApiRig; readonly pid: number | undefined }[] = [];
try {
  const backend = await programs.start('backend-wide.ts');
  const targets: Target<Name>[] = [];
  for (const size of sizes) {
    const servers = Array.from({ length: size }, (_, index) => `s${index}`);
    const rig = await ApiRig.create(servers, createLocalInstance);
    fleets.push({ size, rig, pid: undefined });
    for (const server of servers) await rig.announce(server, backend);
    const { child } = await rig.startApi();
    fleets.splice(-1, 1, { size, rig, pid: child.pid });
    const ways: { readonly path: string; readonly authorization: string; readonly body: string }[] = [];
    for (const server of servers) {
      ways.push({
        path: `/api/v1/mcp/${server}/mcp`,
        authorization: `Bearer ${await rig.token(server)}`,
        body: echoCall,
      });
    }
    let next = 0;
    const each = () => {
      next = (next + 1) % ways.length;
      return ways[next] ?? {};
    };
    targets.push({ name: `${size}`, port: rig.port, path: '/', each });
  }
  const results = await inTurn(targets, connections, timing);
  const rows = fleets.map(({ size, pid }) => {
    const own = results[`${size}` as Name];
    const { callsPerSecond, p50, p99 } = typical(own);
    return { servers: size, callsPerSecond, p50, p99, ofOneServer: shareOf(own, results['1']), rssMb: rssMb(pid) };
  });
  console.table(rows);
  const judgements = rows
    .slice(1)
    .map(({ servers, ofOneServer: ratio }) =>
      judged(`${servers} servers, of one: ≥ ${bars.ofOneServer}`, ratio, ratio >= bars.ofOneServer),
    );
  if (!quick) {
    await record('mcp-fleet', {
      name: 'mcp-fleet',
      method: {
        what: `tools/call by ${connections} connections, spread evenly over all servers of an instance with so many, each server with a token of its own; all servers are one responder`,
        load: 'closed loop over kept-alive loopback connections from one process; three instances run at once, one of them under load',
        ...timing,
        chosen: 'instances take turns; ratios within each round and the median of those',
      },
      machine: machine(),
      bars,
      rows,
      judgements,
    });
  }
} finally {
  for (const { rig } of fleets) await rig.remove();
  programs.end();
}
