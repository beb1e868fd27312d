import { parseArgs } from 'node:util';
import pg from 'pg';
import { AuditReader } from '../src/lib/domain/governance/index.ts';
import { createLocalInstance } from '../src/lib/infra/config/instance.ts';
import { openDatabase } from '../src/lib/infra/database/connection.ts';
import { connectionFor } from '../src/lib/infra/database/connections.ts';
import type { Actor } from '../src/lib/shared/actor.ts';
import { ApiRig } from '../test/helpers/api-rig.ts';
import { until } from '../test/helpers/until.ts';
import { round } from './mcp-router/load.ts';
import {
  inTurn,
  judged,
  machine,
  measure,
  median,
  Programs,
  record,
  shareOf,
  type Target,
  type Timing,
  typical,
} from './mcp-router/measuring.ts';

/*
 * What a call costs, and what a list of calls, with the size of the audit: an instance whose audit is filled to 1 and 10
 * million calls, in turn with one that stays empty. Takes 10 GB of disk. Usage: node bench/audit-growth.ts [--quick]
 * [--rows 1000000,10000000]
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rows: { type: 'string', default: '1000000,10000000' } },
});
const { quick } = values;
const levels = quick ? [0, 100_000] : [0, ...values.rows.split(',').map(Number)];
const most = levels.at(-1) ?? 0;
const timing: Timing = { rounds: quick ? 1 : 7, durationMs: quick ? 1_000 : 2_500, warmUpMs: 500 };
const connections = 32;
const bars = { ofEmpty: 0.9 };
const chunk = 250_000;
const days = 100;
/** How long a disk may be busy with what was filled in, in ms. */
const settleMs = quick ? 0 : 15_000;
const queries = quick ? 5 : 21;

type Name = 'empty' | 'filled';
const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Calls with their outcomes, as they would be after so many days. They stand at positions that the chain has passed, so that
 * the sealer, which works as always, takes them for sealed: to seal them would tell nothing of calls.
 */
const fill = `
  WITH calls AS (
    SELECT i, uuidv7((i::float8 / ${most} - 1) * interval '${days} days') AS id,
      now() + (i::float8 / ${most} - 1) * interval '${days} days' AS at, i * 7919 % 1000 AS lot
    FROM generate_series($1::bigint, $2::bigint) i
  ), intents AS (
    INSERT INTO audit.tool_intents (execution_id, api_instance, server, tool, user_id, user_name, session_id, client,
      scopes, required, input_digest, input, decision, started_at, trace_id, position)
    SELECT id, md5('instance' || i / 1000000)::uuid, CASE lot % 10 WHEN 0 THEN 'bare' ELSE 'server-' || lot % 20 END,
      'tool_' || lot % 7, md5('user' || lot % 50)::uuid::text, 'user-' || lot % 50, md5('session' || i / 200)::uuid::text,
      'client-' || lot % 5, '{user,mcp}', '{user}', encode(sha256(i::text::bytea), 'hex'),
      jsonb_build_object('text', 'hello', 'number', i, 'path', '/srv/files/' || lot),
      CASE WHEN lot < 10 THEN 'refused' ELSE 'allowed' END, at, md5(i::text), 1 + i * $3::bigint / ${most + 1}
    FROM calls
  )
  INSERT INTO audit.tool_outcomes (execution_id, status, error, output_digest, output_bytes, latency_us, upstream_us,
    recorded_at, position)
  SELECT id, CASE WHEN lot < 10 THEN 'refused' WHEN lot < 30 THEN 'tool_error' WHEN lot = 30 THEN 'timeout' ELSE 'success' END,
    CASE WHEN lot < 10 THEN 'The scope is missing.' END, encode(sha256(i::text::bytea), 'hex'), 200 + lot, 3000 + lot,
    1000 + lot, at, 1 + i * $3::bigint / ${most + 1}
  FROM calls`;

const programs = new Programs();
const rigs: ApiRig[] = [];
try {
  const backend = await programs.start('backend-bare.ts');
  const targetOf = async (name: Name): Promise<Target<Name>> => {
    const rig = await ApiRig.create(['bare'], createLocalInstance);
    rigs.push(rig);
    await rig.announce('bare', backend);
    await rig.startApi();
    return { name, port: rig.port, path: '/api/v1/mcp/bare/mcp', token: await rig.token('bare') };
  };
  const targets = [await targetOf('empty'), await targetOf('filled')];
  const filled = rigs[1] as ApiRig;
  const { instance, secrets } = filled.embedded;
  const {
    host,
    port,
    database,
    user: role,
    password,
  } = await connectionFor(instance, filled.profile, secrets, 'owner');
  const owner = new pg.Client({ host, port, database, user: role, password });
  await owner.connect();
  await owner.query('SET synchronous_commit = off; SET statement_timeout = 0; SET lock_timeout = 0');
  const app = openDatabase(await connectionFor(instance, filled.profile, secrets, 'app'), {
    poolSize: 1,
    actor: 'system',
  });

  /** The last position that the chain has surely passed. */
  async function passed(): Promise<number> {
    const { rows } = await owner.query<{ last: string | null }>(
      `SELECT min(p) - 1 AS last FROM audit.segments s, unnest(s.until_open || s.until_end) p
       WHERE s.source IN ('intent', 'outcome')`,
    );
    return Number(rows[0]?.last ?? 0);
  }

  async function fillTo(from: number, to: number): Promise<void> {
    const position = await passed();
    for (let at = from; at < to; at += chunk) {
      await owner.query(fill, [at + 1, Math.min(to, at + chunk), position]);
      if ((at / chunk) % 8 === 0) say(`${Math.min(to, at + chunk)} calls`);
    }
    await owner.query('VACUUM (ANALYZE) audit.tool_intents');
    await owner.query('VACUUM (ANALYZE) audit.tool_outcomes');
    await owner.query('CHECKPOINT').catch(() => undefined); // the disk settles below, if it may not
  }

  const user = await filled.identity.users.ensureOwner();
  const actor: Actor = { userId: user.id, userName: user.name, scopes: ['admin'], permission: 'admin' };
  const reader = new AuditReader(app);
  const hour = 3_600_000;
  const lists = {
    'newest 50': {},
    'of one server': { server: 'bare' },
    'of one user': { user: user.name },
    'refused, last 24 hours': { status: 'refused', since: new Date(Date.now() - 24 * hour) },
    'timed out (1 in 1,000)': { status: 'timeout' },
  } as const;

  /** @returns nothing for one that the database gave up */
  async function listMs(filter: Parameters<AuditReader['list']>[1]): Promise<number | undefined> {
    const times: number[] = [];
    for (let count = 0; count < queries && times.reduce((sum, ms) => sum + ms, 0) < 10_000; count += 1) {
      const since = performance.now();
      try {
        await reader.list(actor, filter ?? {});
      } catch (error) {
        say(String(error));
        return undefined;
      }
      times.push(performance.now() - since);
    }
    return round(median(times), 2);
  }

  // Something has to be sealed before the fill can stand before it.
  for (const target of targets) await measure(target, connections, { durationMs: 1_000, warmUpMs: 500 });
  await until('the chain has begun', async () => (await passed()) > 0, 20_000);

  const rows = [];
  let before = 0;
  for (const level of levels) {
    const since = performance.now();
    if (level > before) await fillTo(before, level);
    const fillSeconds = Math.round((performance.now() - since) / 1_000);
    before = level;
    await new Promise((resolve) => setTimeout(resolve, level === 0 ? 0 : settleMs));
    const results = await inTurn(targets, connections, timing);
    const { rows: sizes } = await owner.query<{ mb: number }>(
      `SELECT ((pg_total_relation_size('audit.tool_intents') + pg_total_relation_size('audit.tool_outcomes')) / 1048576)::int AS mb`,
    );
    const listed: Record<string, number | null> = {};
    for (const [what, filter] of Object.entries(lists)) listed[what] = (await listMs(filter)) ?? null;
    const { callsPerSecond, p50, p99 } = typical(results.filled);
    rows.push({
      calls: level,
      mb: sizes[0]?.mb,
      fillSeconds,
      callsPerSecond,
      ...{ p50, p99 },
      empty: typical(results.empty).callsPerSecond,
      ofEmpty: shareOf(results.filled, results.empty),
      lists: listed,
    });
  }
  console.table(rows.map(({ lists: listed, ...row }) => ({ ...row, ...listed })));
  const judgements = rows
    .slice(1)
    .map(({ calls, ofEmpty: ratio }) =>
      judged(`${calls} calls on record, of an empty audit: ≥ ${bars.ofEmpty}`, ratio, ratio >= bars.ofEmpty),
    );
  if (!quick && most === 10_000_000) {
    await record('audit-growth', {
      name: 'audit-growth',
      method: {
        what: `tools/call by ${connections} connections through an instance with so many calls on record, in turn with one whose audit is empty; both seal what is written. The rows are made by SQL, spread over ${days} days, 21 servers and 50 users, at positions that the chain has passed, so they are not sealed themselves; then vacuumed, and the disk left alone for ${settleMs / 1_000} s`,
        load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
        ...timing,
        chosen: `instances take turns; ratios within each round and the median of those; lists: median of ${queries} or of 10 s, the query alone`,
        database: 'embedded PostgreSQL with its default memory, fsync and synchronous_commit on',
      },
      machine: machine(),
      bars,
      rows,
      judgements,
    });
  }
  await app.close();
  await owner.end();
} finally {
  for (const rig of rigs) await rig.remove();
  programs.end();
}
