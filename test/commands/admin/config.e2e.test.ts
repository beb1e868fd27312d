import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliLoop, type CliRun, openCliLoop } from '../../helpers/cli.ts';
import { type ConfigProject, configProject, profilePath, serverYaml } from '../../helpers/config-project.ts';

const canary = 'canary-7be2-hunter2';

let project: ConfigProject;
let loop: CliLoop;
beforeAll(async () => {
  project = await configProject({
    'services/mcp/crm.yaml': serverYaml('crm', 5005, `    env: { CRM_TOKEN: ${canary}, REGION: eu }\n`),
  });
  loop = openCliLoop();
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

async function config(line: string, env: Record<string, string> = {}): Promise<CliRun> {
  const run = await loop.run({ argv: ['admin', 'config', ...line.split(' ')], cwd: project.path, env });
  expect(JSON.stringify(run)).not.toContain('hunter2');
  return run;
}

async function data(line: string, env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const { stdout } = await config(`${line} --json`, env);
  return (JSON.parse(stdout) as { artifact: { data: Record<string, unknown> } }).artifact.data;
}

describe('admin config', () => {
  it('shows and gets values with their origin, and no secret', async () => {
    const { code, stdout } = await config('show mcp_servers.crm.env');
    expect([code, stdout]).toEqual([0, expect.stringContaining('CRM_TOKEN: "[redacted]"\nREGION: eu')]);
    expect((await config('show --origin')).stdout).toMatch(/crm\.port: 5005 {2}# \S*services\/mcp\/crm\.yaml:5:11\n/);
    expect((await config('get server.port')).stdout).toBe('8080\n');
    expect(await data('get server.port', { SYSTEMPROMPT_SERVER_PORT: '8099' })).toEqual({
      path: 'server.port',
      value: 8099,
      origin: 'SYSTEMPROMPT_SERVER_PORT',
      source: 'environment',
      variable: 'SYSTEMPROMPT_SERVER_PORT',
      file: null,
      line: null,
      column: null,
    });
    const missing = await config('get sever.port');
    expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining('Did you mean server?')]);
  });

  it('sets and unsets, to the byte', async () => {
    const before = await readFile(join(project.path, profilePath), 'utf8');
    expect(await data('set runtime.log_level debug --dry-run')).toMatchObject({ changed: true, dry_run: true });
    expect(await readFile(join(project.path, profilePath), 'utf8')).toBe(before);
    expect(await data('set runtime.log_level debug')).toEqual({
      changed: true,
      dry_run: false,
      files: [expect.stringMatching(/profile\.yaml$/)],
      changes: [{ path: 'runtime.log_level', before: null, after: 'debug' }],
      takes_effect: 'next_start',
    });
    expect((await config('set runtime.log_level loud')).code).toBe(6);
    expect((await config(`set database.url postgres://app:${canary}@db/x`)).code).toBe(2);
    expect((await config('unset runtime.log_level')).code).toBe(0);
    expect(await readFile(join(project.path, profilePath), 'utf8')).toBe(before);
  });

  it('validates with the exit code 6, and names all findings in one answer', async () => {
    expect(await data('validate')).toMatchObject({ valid: true, files: 2, errors: 0, findings: [] });
    await using broken = await configProject({
      [profilePath]: 'server: { prot: 1, port: x }\n',
      'services/mcp/crm.yaml': serverYaml('crm', 80),
    });
    const argv = ['admin', 'config', 'validate', '--json'];
    const { code, stdout } = await loop.run({ argv, cwd: broken.path });
    const answer = JSON.parse(stdout) as { error: { code: string }; artifact: { data: { findings: unknown[] } } };
    expect([code, answer.error.code, answer.artifact.data.findings.length]).toEqual([6, 'CONFIG_INVALID', 3]);
  });

  it('says that nothing runs when there is nothing to compare with', async () => {
    const { code, stderr } = await config('diff');
    expect([code, stderr]).toEqual([6, expect.stringContaining('infra services start')]);
  });

  it('takes over a preset of rate limits once that is confirmed, and back again to the byte', async () => {
    const before = await readFile(join(project.path, profilePath), 'utf8');
    const asked = await config('rate-limits preset apply high-traffic');
    expect([asked.code, asked.stderr]).toEqual([5, expect.stringContaining('--yes')]);
    await config('rate-limits preset apply high-traffic --yes');
    expect((await config('rate-limits preset list')).stdout).toContain('each held short (holds now)');
    expect((await config('rate-limits tier anon')).stdout).toMatch(/oauth_public +1 +2/);
    await config('rate-limits reset --yes');
    expect(await readFile(join(project.path, profilePath), 'utf8')).toBe(before);
  });

  it('gives rate limits away as a file, and takes them over whole or not at all', async () => {
    const before = await readFile(join(project.path, profilePath), 'utf8');
    const file = join(project.path, 'limits.yaml');
    await config('rate-limits set --endpoint mcp --rate 20 --burst 4');
    await config('rate-limits set --enable');
    const exported = await config('rate-limits export');
    expect(exported.stdout).toMatch(/^rate_limits:\n/);
    expect(exported.stdout).not.toContain('enabled');
    await writeFile(file, exported.stdout);
    await config('rate-limits reset --yes');
    expect(await readFile(join(project.path, profilePath), 'utf8')).toBe(before);

    expect((await config(`rate-limits import ${file}`)).code).toBe(5);
    expect((await config(`rate-limits import ${file} --yes`)).code).toBe(0);
    expect((await config('rate-limits export')).stdout).toBe(exported.stdout);
    // Only what is no default is written, and what the file does not say is left as it is.
    expect(await data(`rate-limits import ${file} --dry-run`)).toMatchObject({ changed: false });
    const now = await readFile(join(project.path, profilePath), 'utf8');
    expect(now).toContain('mcp_per_second: 20');
    expect(now).not.toContain('stream_per_second');
    await writeFile(file, 'rate_limits:\n  burst_multiplier: 3\n  mcp_per_second: 0\n  mcp_per_secnd: 1\n');
    const refused = await config(`rate-limits import ${file} --yes`);
    expect(refused.code).toBe(6);
    expect(refused.stderr).toMatch(/limits\.yaml:3:19 .*0\.01[\s\S]*limits\.yaml:4:3 .*did you mean `mcp_per_second`/s);
    expect(await readFile(join(project.path, profilePath), 'utf8')).toBe(now);
    expect((await config('rate-limits import nowhere.yaml --yes')).code).toBe(6);
    await config('rate-limits reset --yes');
  });

  it('keeps the list of sites', async () => {
    await config('server cors add http://localhost:5173');
    expect((await config('server cors list')).stdout).toBe('http://localhost:5173\n');
    expect((await config('server cors remove http://localhost:5174')).code).toBe(3);
    expect((await config('server cors remove http://localhost:5173')).code).toBe(0);
    expect((await config('server cors list')).stdout).toContain('No other site');
  });
});
