import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliRun, cliEnvironment, runScript } from '../../helpers/cli.ts';
import { type RunningSystem, startSystem } from '../../helpers/running-system.ts';

/** The CLI as the `systemprompt` MCP tool runs it: the caller's token on descriptor 3 and nobody to ask. */
describe('for a caller of the MCP tool', () => {
  let system: RunningSystem;
  let admin: string;
  let user: string;
  beforeAll(async () => {
    system = await startSystem();
    admin = await system.token();
    user = await system.token('--scope', 'user');
  }, 120_000);
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
  });

  async function delegated(token: string | undefined, ...argv: string[]): Promise<CliRun> {
    const child = spawn(process.execPath, [runScript, ...argv], {
      cwd: system.instance.root,
      env: cliEnvironment({
        SYSTEMPROMPT_DEPTH: '1',
        SYSTEMPROMPT_TOKEN_FD: '3',
        SYSTEMPROMPT_OUTPUT_FORMAT: 'json',
        SYSTEMPROMPT_SERVICE: 'mcp:systemprompt',
      }),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const descriptor = child.stdio[3] as Writable;
    // A command that is refused before it reads the token closes the pipe on us.
    descriptor.on('error', () => {});
    descriptor.end(token);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    await once(child, 'close');
    return { code: child.exitCode, stdout, stderr };
  }

  const errorOf = (run: CliRun) => JSON.parse(run.stdout).error;

  it('runs what the permission allows', async () => {
    const run = await delegated(user, 'infra', 'services', 'status');
    expect(run.code, run.stdout).toBe(0);
    expect(JSON.parse(run.stdout).artifact.items.length).toBe(3);
  });

  it('refuses what it does not allow, and names the permission', async () => {
    const run = await delegated(user, 'infra', 'services', 'logs', 'api');
    expect(run.code).toBe(4);
    expect(errorOf(run)).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining("'admin'") });
    expect(errorOf(run).hint).toContain('user');
    expect((await delegated(admin, 'infra', 'services', 'logs', 'api')).code).toBe(0);
  });

  it.each([
    ['admin', 'session', 'login'],
    ['infra', 'services', 'start'],
    ['plugins', 'mcp', 'call', 'systemprompt', 'systemprompt'],
  ])('refuses what runs on the machine only: %s %s %s', async (...argv) => {
    const run = await delegated(admin, ...argv);
    expect(run.code).toBe(4);
    expect(errorOf(run)).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('on the machine itself'),
    });
  });

  it.each([[], ['api'], ['database'], ['mcp:systemprompt']])(
    'does not cut off its own answer: stop %s',
    async (...names) => {
      const run = await delegated(admin, 'infra', 'services', 'stop', ...names);
      expect(run.code).toBe(4);
      expect((await system.run('infra', 'services', 'status')).stdout.match(/ready/g)?.length).toBe(3);
    },
  );

  it.each([
    ['that is none', 'nonsense'],
    ['that is missing', ''],
    ['for one MCP server only', undefined],
  ])('refuses a token %s', async (_what, given) => {
    const token = given ?? (await system.token('--server', 'systemprompt'));
    const run = await delegated(token, 'infra', 'services', 'status');
    expect(run.code).toBe(4);
    expect(errorOf(run).code).toBe('UNAUTHENTICATED');
  });

  it('refuses a token whose session has ended', async () => {
    const { stdout } = await system.run('admin', 'session', 'login', '--token-only');
    await system.run('admin', 'session', 'logout');
    expect((await delegated(stdout.trim(), 'infra', 'services', 'status')).code).toBe(4);
  });

  it('suggests commands as the tool takes them', async () => {
    const endless = await delegated(admin, 'infra', 'services', 'logs', 'api', '--follow');
    expect(errorOf(endless)).toMatchObject({ code: 'USAGE', next: ['infra services logs api --lines 50'] });
    const run = await delegated(admin, 'infra', 'services', 'logs', 'apj');
    expect(errorOf(run).next).toEqual(['infra services logs api']);
  });

  it('shows users their own calls, whatever they ask for', async () => {
    const run = await delegated(user, 'admin', 'audit', 'list', '--user', 'somebody');
    expect(run.code).toBe(4);
    expect((await delegated(user, 'admin', 'audit', 'list')).code).toBe(0);
  });
});
