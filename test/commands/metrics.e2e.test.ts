import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { apiSharesPort } from '../../src/lib/app/supervisor/api-names.ts';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { parseScrape, type Scrape } from '../helpers/prometheus.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

// The built system with two API processes, watched as Prometheus would.

let system: RunningSystem;
let port: number;

beforeAll(async () => {
  port = await freePort();
  system = await startSystem(async ({ dir }) => {
    const profile = join(dir, 'profiles', 'local', 'profile.yaml');
    const text = await readFile(profile, 'utf8');
    const changed = text.replace(/^server:$/m, 'server:\n  workers: 2');
    await writeFile(profile, `${changed}\ntelemetry:\n  metrics: on\n  metrics_port: ${port}\n`);
  });
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port: free } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    // Not in a range of the profile.
    if (free > 10_000) return free;
  }
}

/** One request over a connection of the agent's, or a new one. */
function ask(at: number, agent: Agent | false): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const request = get({ host: '127.0.0.1', port: at, path: '/metrics', agent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.once('error', fail).once('end', () => done({ status: answer.statusCode ?? 0, text }));
    });
    request.once('error', fail);
  });
}

const scrape = async (at = port): Promise<Scrape> => parseScrape((await ask(at, false)).text);
const services = (found: Scrape) =>
  found
    .find('systemprompt_build_info')
    .map(({ labels }) => labels['service'])
    .sort();
const runs = (found: Scrape) =>
  found
    .find('systemprompt_build_info')
    .map(({ labels }) => labels['instance_id'])
    .sort();

it('tells of all processes at once, to an admin with a token and without one on its own port', async () => {
  expect(services(await scrape())).toEqual(['api:1', 'api:2']);
  expect((await fetch(`${system.url}/metrics`)).status).toBe(401);
  const answer = await fetch(`${system.url}/metrics`, { headers: { authorization: `Bearer ${await system.token()}` } });
  expect(answer.status).toBe(200);
  const found = parseScrape(await answer.text());
  expect(runs(found)).toEqual(runs(await scrape()));
  expect(found.sum('systemprompt_database_pool_limit')).toBe(20);
  expect(found.find('systemprompt_database_pool_connections')).toHaveLength(4);
});

it('counts the tool calls of both, each once', async () => {
  const before = (await scrape()).sum('systemprompt_mcp_tool_calls_total');
  for (let at = 0; at < 4; at += 1) {
    const args = ['--args', '{"args":["infra","services","status"]}'];
    expect((await system.run('plugins', 'mcp', 'call', 'systemprompt', 'systemprompt', ...args)).code).toBe(0);
  }
  const found = await scrape();
  expect(found.sum('systemprompt_mcp_tool_calls_total') - before).toBe(4);
  expect(found.sum('systemprompt_mcp_tool_calls_total', { server: 'systemprompt', outcome: 'success' })).toBe(4);
  expect(found.sum('systemprompt_mcp_tool_call_duration_seconds_count')).toBe(
    found.sum('systemprompt_mcp_tool_calls_total'),
  );
  expect(found.sum('systemprompt_audit_commit_duration_seconds_count')).toBeGreaterThanOrEqual(4);
});

it.runIf(apiSharesPort)(
  'leaves no gap in a hand-over: every scrape is answered, and no counter goes back',
  async () => {
    const before = runs(await scrape());
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const failures: string[] = [];
    let asked = 0;
    let restarting = true;
    const watching = async (agent: Agent | false) => {
      // Each for itself: answers of two can come in another order than they were asked for.
      const highest = new Map<string, number>();
      while (restarting) {
        try {
          const { status, text } = await ask(port, agent);
          if (status !== 200) throw new Error(`status ${status}`);
          check(parseScrape(text), highest);
          asked += 1;
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    const check = (found: Scrape, highest: Map<string, number>) => {
      for (const { type, samples } of found.families.values()) {
        if (type === 'gauge') continue;
        for (const { name, labels, value } of samples) {
          const series = `${name}${JSON.stringify(labels)}`;
          if (value < (highest.get(series) ?? 0)) throw new Error(`${series} went back to ${value}`);
          highest.set(series, value);
        }
      }
    };
    const watchers = [watching(kept), watching(false)];
    const { code, stderr } = await system.run('infra', 'services', 'restart', 'api');
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    restarting = false;
    await Promise.all(watchers);
    kept.destroy();
    expect(failures).toEqual([]);
    expect(asked).toBeGreaterThan(20);
    const found = await until('the old ones have gone', async () => {
      const now = await scrape();
      return services(now).length === 2 ? now : undefined;
    });
    expect(runs(found)).not.toEqual(expect.arrayContaining([before[0]]));
    expect(runs(found)).not.toEqual(expect.arrayContaining([before[1]]));
  },
);

it('follows its file: another port, and then none', async () => {
  const another = await freePort();
  const edit = (...argv: string[]) => system.artifact('cloud', 'profile', 'edit', 'local', ...argv);
  await edit('--set', `telemetry.metrics_port=${another}`);
  await until(
    'the other port answers, and this one no longer',
    async () => {
      const old = await ask(port, false).catch((error: NodeJS.ErrnoException) => error.code);
      return old === 'ECONNREFUSED' && services(await scrape(another)).length === 2;
    },
    60_000,
  );
  await edit('--unset', 'telemetry.metrics_port', '--set', 'telemetry.metrics=off');
  const token = await system.token();
  await until(
    'nothing is told',
    async () => {
      const here = await ask(another, false).catch((error: NodeJS.ErrnoException) => error.code);
      const there = await fetch(`${system.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
      return here === 'ECONNREFUSED' && there.status === 404;
    },
    60_000,
  );
  expect(await system.stop()).toEqual(noFootprint);
});

it('loads nothing of it where it is off', () => {
  const seen = new Set<string>();
  const read = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('nodejs_eventloop_delay_seconds');
    for (const [, path = ''] of text.matchAll(/(?:from|import)\s*"(\.[^"]+)"/g)) read(join(dirname(file), path));
  };
  read(join(packageRoot(), 'dist/entry/api/main.js'));
  expect(seen.size).toBeGreaterThan(1);
});
