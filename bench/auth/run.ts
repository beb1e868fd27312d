import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
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
 * Usage: node bench/auth/run.ts [--quick] [--cpu-prof <folder>]
 */

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const profileTo = args.includes('--cpu-prof') ? args[args.indexOf('--cpu-prof') + 1] : undefined;
const rounds = quick ? 1 : 5;
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
  child = spawn(process.execPath, [join(import.meta.dirname, 'bare.ts'), String(chains)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return JSON.parse(String(line)) as Bare;
}

type Target = Omit<LoadOptions, 'connections' | 'warmUpMs' | 'durationMs'>;

async function measure(name: string, target: Target, connections: number): Promise<LoadResult> {
  const result = await load({ ...target, connections, warmUpMs, durationMs });
  if (result.errors > 0 || result.calls === 0)
    throw new Error(`${name}: ${result.errors} errors, ${result.calls} calls`);
  return result;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function typical(results: readonly LoadResult[]): LoadResult {
  const middle = median(results.map(({ callsPerSecond }) => callsPerSecond));
  return results.find(({ callsPerSecond }) => callsPerSecond === middle) as LoadResult;
}

/** Both in turn, round after round; what is compared is compared within a round, and the median of that counts. */
async function compare(what: string, targets: { readonly bare: Target; readonly ours: Target }, connections: number) {
  const results: Record<'bare' | 'ours', LoadResult[]> = { bare: [], ours: [] };
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
function rotating(first: readonly string[], form: Readonly<Record<string, string>>): Required<Pick<Target, 'each'>> {
  const tokens = [...first];
  return {
    each: (connection, answer) => {
      const next = answer === undefined ? undefined : /"refresh_token":"([^"]+)"/.exec(answer)?.[1];
      if (next !== undefined) tokens[connection] = next;
      const refresh_token = tokens[connection] ?? '';
      return { body: new URLSearchParams({ grant_type: 'refresh_token', ...form, refresh_token }).toString() };
    },
  };
}

const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const credentials = (port: number, path: string, resource: string, authorization: string): Target => ({
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
  const issue = [
    await compare(
      'client credentials',
      {
        bare: credentials(bare.port, '/token', bare.audience, basic('service', bare.secret)),
        ours: credentials(rig.port, tokenPath, audience, basic('robot', secret)),
      },
      16,
    ),
    await compare(
      'refresh rotation',
      {
        bare: {
          port: bare.port,
          path: '/token',
          headers: json,
          body: '',
          expected: '"refresh_token"',
          ...rotating(bare.refreshTokens, { client_id: 'app' }),
        },
        ours: {
          port: rig.port,
          path: tokenPath,
          headers: json,
          body: '',
          expected: '"refresh_token"',
          ...rotating(begun, { client_id: 'app' }),
        },
      },
      chains,
    ),
  ];
  const verification = await measureVerification(rig, { rounds, durationMs, warmUpMs, quick });
  await rig.kill(api.child, 'SIGTERM');

  console.table(
    issue.map(({ what, connections, bare: floor, ours, ofBare }) => ({
      what,
      connections,
      'bare/s': floor.callsPerSecond,
      'ours/s': ours.callsPerSecond,
      'bare p50': floor.p50,
      'ours p50': ours.p50,
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
  if (!quick) {
    await mkdir(join(import.meta.dirname, '../results'), { recursive: true });
    await writeFile(join(import.meta.dirname, '../results/auth.json'), `${JSON.stringify(results, null, 2)}\n`);
  }
} finally {
  child?.stdin?.end();
  await rig.remove();
}
