import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { mcpAudience } from '../../src/lib/app/identity.ts';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ApiRig } from '../../test/helpers/api-rig.ts';
import { type LoadOptions, type LoadResult, load, round } from '../mcp-router/load.ts';
import { beginChains, serviceClient } from './clients.ts';
import { measureVerification } from './verify.ts';

/*
 * The authorization server of the API process against oidc-provider as it is with everything in memory, in one run: tokens
 * by client credentials, rotations of refresh tokens; and what it costs to let a token in.
 * Usage: node bench/auth/run.ts [--quick] [--only credentials|refresh|verify] [--cpu-prof <folder>]
 */

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const profileTo = args.includes('--cpu-prof') ? args[args.indexOf('--cpu-prof') + 1] : undefined;
const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : undefined;
const wanted = (what: string) => only === undefined || only === what;
const rounds = quick ? 1 : 3;
const durationMs = quick ? 1_000 : 2_000;
const warmUpMs = 500;
const chains = 12;
const bars = { clientCredentialsOfBare: 0.8, refreshOfBare: 0.5, warmUs: 20 };
const tokenPath = '/api/v1/core/oauth/token';
const json = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };

interface Bare {
  readonly port: number;
  readonly audience: string;
  readonly secret: string;
  readonly refreshTokens: readonly string[];
}

const loadBefore = round(loadavg()[0] ?? 0, 1);
let child: ChildProcess | undefined;

async function startBare(): Promise<Bare> {
  child = spawn(process.execPath, [join(import.meta.dirname, 'floor.ts'), String(chains)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return JSON.parse(String(line)) as Bare;
}

type Target = Omit<LoadOptions, 'connections' | 'warmUpMs' | 'durationMs'> & { readonly pid: number | undefined };
/** With the CPU time that the server's own process took for each call, which does not depend on what else runs. */
type Measured = LoadResult & { readonly cpuUs: number };

/** CPU time of a process so far, in µs (proc_pid_stat(5), in hundredths of a second). */
function cpuOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function measure(name: string, target: Target, connections: number): Promise<Measured> {
  const warm = { ...target, connections, warmUpMs: 0 };
  await load({ ...warm, durationMs: warmUpMs });
  const before = cpuOf(target.pid);
  const result = await load({ ...warm, durationMs });
  const cpuUs = Math.round((cpuOf(target.pid) - before) / result.calls);
  if (result.errors > 0 || result.calls === 0)
    throw new Error(`${name}: ${result.errors} errors, ${result.calls} calls`);
  return { ...result, cpuUs };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function typical(results: readonly Measured[]): Measured {
  const middle = median(results.map(({ callsPerSecond }) => callsPerSecond));
  return results.find(({ callsPerSecond }) => callsPerSecond === middle) as Measured;
}

/** Both in turn, round after round; what is compared is compared within a round, and the median of that counts. */
async function compare(what: string, targets: { readonly bare: Target; readonly ours: Target }, connections: number) {
  const results: Record<'bare' | 'ours', Measured[]> = { bare: [], ours: [] };
  for (let index = 0; index < rounds; index += 1) {
    for (const name of ['bare', 'ours'] as const) {
      results[name].push(await measure(`${what}, ${name}`, targets[name], connections));
    }
  }
  const shares = results.ours.map((own, at) => own.callsPerSecond / (results.bare[at]?.callsPerSecond ?? Number.NaN));
  return {
    what,
    connections,
    bare: typical(results.bare),
    ours: typical(results.ours),
    ofBare: round(median(shares), 2),
  };
}

/** One chain of refresh tokens for each connection, which goes on from round to round. */
function rotating(first: readonly string[]): Required<Pick<Target, 'each'>> {
  const tokens = [...first];
  return {
    each: (connection, answer) => {
      const next = answer === undefined ? undefined : /"refresh_token":"([^"]+)"/.exec(answer)?.[1];
      if (next !== undefined) tokens[connection] = next;
      const refresh_token = tokens[connection] ?? '';
      return { body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'app', refresh_token }).toString() };
    },
  };
}

const rotation = { headers: json, body: '', expected: '"refresh_token"' };
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const credentials = (
  pid: number | undefined,
  port: number,
  path: string,
  resource: string,
  authorization: string,
): Target => ({
  pid,
  port,
  path,
  headers: { ...json, authorization },
  body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope: 'user' }).toString(),
  expected: '"access_token"',
});

const rig = await ApiRig.create(['bare'], createLocalInstance);
try {
  const audience = mcpAudience(rig.profile.server.external_url, 'bare');
  const bare = await startBare();
  const secret = await serviceClient(rig, 'robot');
  const api = await rig.startApi(profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`]);
  const begun = await beginChains(rig, audience, chains);
  const credentialsOfBoth = {
    bare: credentials(child?.pid, bare.port, '/token', bare.audience, basic('service', bare.secret)),
    ours: credentials(api.child.pid, rig.port, tokenPath, audience, basic('robot', secret)),
  };
  const rotationOfBoth = {
    bare: { pid: child?.pid, port: bare.port, path: '/token', ...rotation, ...rotating(bare.refreshTokens) },
    ours: { pid: api.child.pid, port: rig.port, path: tokenPath, ...rotation, ...rotating(begun) },
  };
  const issue = [];
  if (wanted('credentials')) issue.push(await compare('client credentials', credentialsOfBoth, 16));
  if (wanted('refresh')) issue.push(await compare('refresh rotation', rotationOfBoth, chains));
  const verification = wanted('verify')
    ? await measureVerification(rig, { rounds, durationMs, warmUpMs, quick })
    : { steps: [], calls: [] };
  await rig.kill(api.child, 'SIGTERM');

  console.table(
    issue.map(({ what, connections, bare: floor, ours, ofBare }) => ({
      what,
      connections,
      'bare/s': floor.callsPerSecond,
      'ours/s': ours.callsPerSecond,
      'bare p50': floor.p50,
      'ours p50': ours.p50,
      'bare cpu µs': floor.cpuUs,
      'ours cpu µs': ours.cpuUs,
      ofBare,
    })),
  );
  console.table(verification.steps);
  console.table(verification.calls.map(({ what, result, addedP50Ms }) => ({ what, ...result, addedP50Ms })));
  const [cpu] = cpus();
  const results = {
    name: 'auth',
    method: {
      what: 'the token endpoint of the API process (PostgreSQL, entitlements, record of what is issued) against oidc-provider with an adapter in memory, both signing ES256 tokens for one resource',
      load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
      rounds,
      durationMs,
      warmUpMs,
      chosen:
        'targets take turns; figures of the round with the median calls per second, comparisons within each round and the median of those',
      database: 'embedded PostgreSQL, fsync and synchronous_commit on',
    },
    machine: {
      cpu: cpu?.model.trim(),
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 1e9),
      loadAverageBefore: loadBefore,
      node: process.version,
    },
    bars,
    issue,
    verification,
  };
  if (!quick && only === undefined) {
    await mkdir(join(import.meta.dirname, '../results'), { recursive: true });
    await writeFile(join(import.meta.dirname, '../results/auth.json'), `${JSON.stringify(results, null, 2)}\n`);
  }
} finally {
  child?.stdin?.end();
  await rig.remove();
}
