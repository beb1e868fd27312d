import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { instanceAudience, mcpAudience } from '../../src/lib/app/identity.ts';
import type { ApiRig } from '../../test/helpers/api-rig.ts';
import { type LoadResult, load, round } from '../mcp-router/load.ts';

interface Step {
  readonly step: string;
  /** Microseconds, one after another. */
  readonly us: number;
}

const batchSize = 50;

interface Calls {
  readonly what: string;
  readonly result: LoadResult;
  /** Against the same request without a token. */
  readonly addedP50Ms?: number;
}

/** What it costs to let a token in: by itself in this process, and in calls to an address that is open without one. */
export async function measureVerification(
  rig: ApiRig,
  options: { readonly rounds: number; readonly durationMs: number; readonly warmUpMs: number; readonly quick: boolean },
): Promise<{ readonly steps: Step[]; readonly calls: Calls[] }> {
  const count = options.quick ? 500 : 2_000;
  const url = rig.profile.server.external_url;
  const { verifier } = rig.identity;
  const audience = mcpAudience(url, 'bare');
  const [first = '', ...others] = await tokens(rig, audience, count + 1);
  const jwks = createLocalJWKSet(verifier.jwks as unknown as JSONWebKeySet);
  const steps = [
    await time('jose alone: signature and claims', others, (token) =>
      jwtVerify(token, jwks, { issuer: url, audience }),
    ),
    await time('verify a token for the first time (cold)', others, (token) => verifier.verify(token, audience)),
    await time('verify tokens that are remembered (warm), many', others, (token) => verifier.verify(token, audience)),
    await time(
      'verify one token that is remembered (warm)',
      Array.from({ length: 20_000 }, () => first),
      (token) => verifier.verify(token, audience),
    ),
  ];

  const target = {
    port: rig.port,
    path: '/api/v1/mcp/registry',
    method: 'GET',
    headers: { accept: 'application/json' },
    body: '',
    expected: '"servers"',
    connections: 16,
    warmUpMs: options.warmUpMs,
    durationMs: options.durationMs,
  };
  const bearers = (await tokens(rig, instanceAudience(url), options.quick ? 3_000 : 12_000)).map(
    (token) => `Bearer ${token}`,
  );
  const [remembered = ''] = bearers;
  let at = 0;
  const kinds = [
    { what: 'without a token', each: () => ({}) },
    { what: 'a token that is remembered', each: () => ({ authorization: remembered }) },
    // The memory of tokens holds fewer than there are, so that one that comes round again is new.
    { what: 'a new token in each call', each: () => ({ authorization: bearers[at++ % bearers.length] ?? '' }) },
  ];
  const results = new Map<string, LoadResult[]>(kinds.map(({ what }) => [what, []]));
  for (let turn = 0; turn < options.rounds; turn += 1) {
    for (const { what, each } of kinds) {
      const result = await load({ ...target, each });
      if (result.errors > 0) throw new Error(`${what}: ${result.errors} errors`);
      results.get(what)?.push(result);
    }
  }
  const open = results.get('without a token') ?? [];
  const calls = kinds.map(({ what }): Calls => {
    const own = results.get(what) ?? [];
    const result = [...own].sort((a, b) => a.callsPerSecond - b.callsPerSecond)[Math.floor(own.length / 2)];
    if (result === undefined) throw new Error('Nothing was measured');
    if (own === open) return { what, result };
    const added = own.map(({ p50 }, turn) => p50 - (open[turn]?.p50 ?? Number.NaN)).sort((a, b) => a - b);
    return { what, result, addedP50Ms: round(added[Math.floor(added.length / 2)] ?? Number.NaN) };
  });
  return { steps, calls };
}

/** Tokens of the owner for that audience, all of one session. */
async function tokens(rig: ApiRig, audience: string, count: number): Promise<string[]> {
  const user = await rig.identity.users.ensureOwner();
  const session = await rig.identity.sessions.begin({ userId: user.id, client: 'bench', ttlSeconds: 3_600 });
  const made: string[] = [];
  for (let at = 0; at < count; at += 100) {
    const some = Array.from({ length: Math.min(100, count - at) }, async () => {
      const { token } = await rig.identity.issuer.issue({
        user,
        sessionId: session.id,
        audience,
        scopes: ['user'],
        ttlSeconds: 3_600,
        client: 'bench',
      });
      return token;
    });
    made.push(...(await Promise.all(some)));
  }
  return made;
}

/** Of batches, the one in the middle: what else the machine does falls on some of them. */
async function time(step: string, given: readonly string[], work: (token: string) => Promise<unknown>): Promise<Step> {
  const batches: number[] = [];
  for (let at = 0; at < given.length; at += batchSize) {
    const batch = given.slice(at, at + batchSize);
    const started = performance.now();
    for (const token of batch) await work(token);
    batches.push((performance.now() - started) / batch.length);
  }
  return { step, us: round((batches.sort((a, b) => a - b)[Math.floor(batches.length / 2)] ?? Number.NaN) * 1_000, 1) };
}
