import { parseArgs } from 'node:util';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ApiRig } from '../../test/helpers/api-rig.ts';
import {
  addedTo,
  beginSession,
  inTurn,
  judged,
  machine,
  ownIds,
  Programs,
  record,
  shareOf,
  type Target,
  type Timing,
  typical,
} from './measuring.ts';

/*
 * Each form of Streamable HTTP through the router, against the same backend called directly and against the floor: with and
 * without a session, answered with JSON and with a stream, small and large; and 1 to 256 clients. Usage:
 * node bench/mcp-router/transports.ts [--quick] [--only forms,clients]
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: 'forms,clients' } },
});
const { quick } = values;
const parts = values.only.split(',');
const timing: Timing = { rounds: quick ? 1 : 3, durationMs: quick ? 1_000 : 2_000, warmUpMs: 400 };
const clientCounts = [1, 8, 32, 128, 256];
const bars = { ofFloorAt32: 0.6, ofOneClient: 1 };
const megabyte = ['--bytes', String(1024 * 1024)];

/** Forms of an answer: the name of its server, and how the backend gives it. */
const forms = {
  json: { what: 'JSON', args: [], session: false },
  session: { what: 'JSON, in a session', args: [], session: true },
  sse: { what: 'SSE', args: ['--sse'], session: false },
  'sse-session': { what: 'SSE, in a session', args: ['--sse'], session: true },
  large: { what: 'JSON, 1 MB', args: megabyte, session: false },
  'large-sse': { what: 'SSE, 1 MB', args: ['--sse', ...megabyte], session: false },
} as const;
type Form = keyof typeof forms;
type Who = 'direct' | 'floor' | 'ours';

const names = Object.keys(forms) as Form[];
const rig = await ApiRig.create([...names, 'bare'], createLocalInstance);
const programs = new Programs();
const judgements = [];
try {
  await rig.startApi();

  /** The three ways to a backend. */
  async function waysTo(server: string, backend: number, session: boolean): Promise<Target<Who>[]> {
    await rig.announce(server, backend);
    const token = await rig.token(server);
    const path = `/api/v1/mcp/${server}/mcp`;
    const within = async (url: string, bearer?: string) =>
      session ? { headers: { 'mcp-session-id': await beginSession(url, bearer) }, each: ownIds() } : {};
    const direct = await within(`http://127.0.0.1:${backend}/mcp`);
    return [
      { name: 'direct', port: backend, path: '/mcp', ...direct },
      { name: 'floor', port: await programs.floor(rig, server, backend), path: '/mcp', token, ...direct },
      { name: 'ours', port: rig.port, path, token, ...(await within(`${rig.url}${path}`, token)) },
    ];
  }

  async function compare(ways: readonly Target<Who>[], connections: number) {
    const { direct, floor, ours } = await inTurn(ways, connections, timing);
    return {
      connections,
      direct: typical(direct),
      floor: typical(floor),
      ours: {
        ...typical(ours),
        addedP50Ms: addedTo(ours, direct),
        ofFloor: shareOf(ours, floor),
        ofDirect: shareOf(ours, direct),
      },
    };
  }

  const formRows = [];
  for (const name of parts.includes('forms') ? names : []) {
    const { what, args, session } = forms[name];
    const ways = await waysTo(name, await programs.start('backend-wide.ts', args), session);
    for (const connections of [1, 32]) {
      const row = await compare(ways, connections);
      formRows.push({ form: what, ...row });
      const { ofFloor } = row.ours;
      if (connections === 32)
        judgements.push(judged(`${what}: of the floor ≥ ${bars.ofFloorAt32}`, ofFloor, ofFloor >= bars.ofFloorAt32));
    }
  }

  const clientRows = [];
  if (parts.includes('clients')) {
    const ways = await waysTo('bare', await programs.start('backend-bare.ts'), false);
    for (const connections of clientCounts) clientRows.push(await compare(ways, connections));
    const calls = clientRows.map(({ ours }) => ours.callsPerSecond);
    const ofOne = Math.min(...calls.slice(1)) / (calls[0] ?? Number.NaN);
    const ratio = Math.round(ofOne * 100) / 100;
    judgements.push(judged('the slowest of 8 to 256 clients, of one client: ≥ 1', ratio, ratio >= bars.ofOneClient));
  }

  const flat = (rows: readonly (Awaited<ReturnType<typeof compare>> & { form?: string })[]) =>
    rows.map(({ form, connections, direct, floor, ours }) => ({
      ...(form === undefined ? {} : { form }),
      connections,
      'direct/s': direct.callsPerSecond,
      'floor/s': floor.callsPerSecond,
      'ours/s': ours.callsPerSecond,
      p50: ours.p50,
      p99: ours.p99,
      added: ours.addedP50Ms,
      ofFloor: ours.ofFloor,
      ofDirect: ours.ofDirect,
    }));
  console.table(flat(formRows));
  console.table(flat(clientRows));
  if (!quick && parts.length === 2) {
    await record('mcp-transports', {
      name: 'mcp-transports',
      method: {
        what: 'tools/call through one API process in each form of Streamable HTTP (2025-11-25), against the same backend called directly and against a floor that verifies the token and commits two rows; in a session all connections share it, each request with an id of its own; an answer by SSE has a notification before it',
        load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
        ...timing,
        chosen:
          'targets take turns; figures of the round with the median calls per second, comparisons within each round and the median of those',
      },
      machine: machine(),
      bars,
      forms: formRows,
      clients: clientRows,
      judgements,
    });
  }
} finally {
  programs.end();
  await rig.remove();
}
