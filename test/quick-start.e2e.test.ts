import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { locateInstance } from '../src/lib/infra/config/instance.ts';
import { markedProcesses } from '../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../src/lib/infra/process/postgres-place.ts';
import { runCli } from './helpers/cli.ts';
import { freePort } from './helpers/free-port.ts';
import { runInTerminal } from './helpers/pseudo-terminal.ts';

// The quick start with a local database, in an empty folder, as it is written; only the port is one that is free here.
const lines = [
  'cloud auth login',
  'cloud tenant create --type local',
  'cloud profile create local',
  'infra db migrate',
  'infra services start --all',
];

let folder: string;
let env: Record<string, string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemprompt-quick-start-'));
  env = { SYSTEMPROMPT_SERVER_PORT: String(await freePort()), SYSTEMPROMPT_INVOKED_AS: 'systemprompt' };
});
afterEach(async () => {
  const instance = await locateInstance(folder, {});
  if (instance !== undefined) {
    await runCli(['infra', 'services', 'stop'], { cwd: folder, env });
    for (const { identity } of await markedProcesses(instance.id)) process.kill(identity.pid, 'SIGKILL');
    for (const path of [instance.runtimeDir, rootInstanceDir(instance.id)])
      await rm(path, { recursive: true, force: true });
  }
  await rm(folder, { recursive: true, force: true });
});

async function servesAndIsComplete(): Promise<void> {
  const response = await fetch(`http://localhost:${env['SYSTEMPROMPT_SERVER_PORT']}/healthz`);
  await response.body?.cancel();
  expect(response.status).toBe(200);
  const { stdout } = await runCli(['infra', 'db', 'status', '--json'], { cwd: folder, env });
  const { artifact } = JSON.parse(stdout) as { artifact: { items: { pending: unknown }[] } };
  expect(artifact.items.length).toBeGreaterThan(0);
}

it('works in a terminal, line by line, without a question', async () => {
  const said: string[] = [];
  for (const line of lines) {
    const run = runInTerminal(line.split(' '), { cwd: folder, env });
    const code = await run.ended();
    expect(code, `${line}\n${run.text}`).toBe(0);
    said.push(run.text);
  }
  expect(said[0]).toContain('A local tenant needs no account');
  expect(said[1]).toContain('Created local');
  expect(said[2]).toContain('is there already');
  expect(said[3]).toContain('001_');
  expect(said[4]).toContain('systemprompt is running');
  await servesAndIsComplete();
  // A second time nothing is done again.
  for (const line of [lines[1] ?? '', lines[4] ?? '']) {
    const { code, stdout } = await runCli(line.split(' '), { cwd: folder, env });
    expect({ code, stdout }, line).toEqual({ code: 0, stdout: expect.stringMatching(/already/) });
  }

  const asked = runInTerminal(['cloud', 'tenant', 'delete', 'local'], { cwd: folder, env });
  await asked.shows("It can't be undone.");
  asked.type('\u0003');
  expect(await asked.ended()).toBe(130);
  expect(existsSync(join(folder, '.systemprompt'))).toBe(true);
  const agreed = runInTerminal(['cloud', 'tenant', 'delete', 'local'], { cwd: folder, env });
  await agreed.shows("It can't be undone.");
  agreed.type('y');
  expect(await agreed.ended(), agreed.text).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

it('works for a program: --json and --non-interactive, one value on stdout and nothing else', async () => {
  for (const line of lines) {
    const argv = [...line.split(' '), '--json', '--non-interactive'];
    const { code, stdout, stderr } = await runCli(argv, { cwd: folder, env });
    expect(code, `${line}\n${stdout}\n${stderr}`).toBe(0);
    expect(JSON.parse(stdout), line).toMatchObject({ ok: true });
    expect(stdout.trimEnd()).not.toContain('\n');
  }
  await servesAndIsComplete();
});
