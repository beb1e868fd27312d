import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { selfSigned } from '../helpers/certificate.ts';
import { runCli } from '../helpers/cli.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';

const pair = selfSigned();
const page = 'http://localhost:5173';
let system: RunningSystem;
let url: string;

beforeAll(async () => {
  system = await startSystem(async ({ projectDir }) => {
    const folder = join(projectDir, 'profiles/local');
    await writeFile(join(folder, 'c.pem'), pair.cert, { mode: 0o600 });
    await writeFile(join(folder, 'k.pem'), pair.key, { mode: 0o600 });
    const set = [
      'server.https.certificate=c.pem',
      'server.https.key=k.pem',
      'runtime.environment=production',
      `server.cors_allowed_origins=[${page}]`,
      // Without a token half of it: three at once, and the next in ten seconds.
      'rate_limits.oauth_public_per_second=0.2',
      'rate_limits.burst_multiplier=30',
    ];
    const edit = ['cloud', 'profile', 'edit', ...set.flatMap((assignment) => ['--set', assignment])];
    const { code, stderr } = await runCli(edit, { cwd: join(projectDir, '..') });
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
  url = system.url.replace('http:', 'https:');
}, 120_000);
afterAll(() => system?.[Symbol.asyncDispose]());

function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]> }>((done, fail) => {
    const sent = request(`${url}${path}`, { ca: pair.cert, headers, method, agent: false }, (response) => {
      response.resume().on('end', () => done({ status: response.statusCode, headers: response.headers }));
    });
    sent.once('error', fail).end();
  });
}

it('the system of a profile for production answers by https, and its own commands take its certificate', async () => {
  const { stdout } = await system.run('infra', 'services', 'status');
  expect(stdout).toContain(url);
  const tools = await system.run('plugins', 'mcp', 'tools', 'systemprompt');
  expect(tools).toMatchObject({ code: 0, stdout: expect.stringContaining('commands') });
  const api = await system.artifact<{ items: { check: string; state: string }[] }>('doctor');
  expect(api.items.filter(({ state }) => state === 'fail')).toEqual([]);
});

it.runIf(process.platform === 'linux')('its servers are told what they are run for', async () => {
  const { items } = await system.artifact<{ items: { name: string; pid: number }[] }>('infra', 'services', 'status');
  const pid = items.find(({ name }) => name === 'mcp:systemprompt')?.pid;
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  expect(environment).toEqual(expect.arrayContaining(['SYSTEMPROMPT_ENVIRONMENT=production', 'NODE_ENV=production']));
});

it('pages that are named may call the MCP servers, others may not', async () => {
  const path = '/api/v1/mcp/systemprompt/mcp';
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const allowed = await ask(path, { origin: page, ...preflight }, 'OPTIONS');
  expect([allowed.status, allowed.headers['access-control-allow-origin']]).toEqual([204, page]);
  const answer = await ask(path, { origin: page }, 'POST');
  expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([401, page]);
  expect((await ask(path, { origin: 'http://localhost:5174', ...preflight }, 'OPTIONS')).status).toBe(403);
});

it('requests are counted', async () => {
  const statuses: (number | undefined)[] = [];
  for (let turn = 0; turn < 4; turn += 1) statuses.push((await ask('/.well-known/jwks.json')).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
});

it('the profile with which it runs is not deleted', async () => {
  expect((await system.run('cloud', 'profile', 'create', 'other')).code).toBe(0);
  expect((await system.run('cloud', 'profile', 'use', 'other')).code).toBe(0);
  const refused = await system.run('cloud', 'profile', 'delete', 'local', '--yes');
  expect(refused).toMatchObject({ code: 6, stderr: expect.stringContaining('runs with the profile `local`') });
  expect(refused.stderr).toContain('infra services stop --profile local');
});
