import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliRun, runCli, startCli } from '../../helpers/cli.ts';
import { type OAuthRig, openOAuthRig } from '../../helpers/oauth-rig.ts';
import { until } from '../../helpers/until.ts';

let rig: OAuthRig;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sp-cloud-auth-'));
  // Stands for the desktop's own: it writes down what it was to show, and that it got no secret.
  const program = join(folder, 'xdg-open');
  await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$1" > '${folder}/opened'\nenv > '${folder}/env'\n`);
  await chmod(program, 0o755);
  env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: `${folder}:${process.env['PATH']}`, HOME: folder };
  rig = await openOAuthRig();
});
afterAll(async () => {
  await rig?.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...argv: string[]): Promise<CliRun> => runCli(['cloud', 'auth', ...argv], { cwd: folder, env });
const artifact = ({ stdout }: CliRun) => (JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Envelope).artifact;
interface Envelope {
  readonly artifact: { readonly data: Record<string, unknown>; readonly items: Record<string, unknown>[] };
}

describe('cloud auth', () => {
  it('auth 39: signs in with the browser of this machine, tells who it is, and signs out', async () => {
    const browser = await rig.browser(await rig.user('grace', ['user', 'admin']));
    const screen = { ...env, DISPLAY: ':9', VAULT_TOKEN: 'canary' };
    const argv = ['cloud', 'auth', 'login', '--url', `${rig.url}/`, '--browser', '--scope', 'user', '--scope', 'admin'];
    const login = runCli(argv, { cwd: folder, env: screen });
    const opened = () => readFile(join(folder, 'opened'), 'utf8').catch(() => '');
    const address = await until('the browser is opened', async () => (await opened()).trim() || undefined);
    const end = await rig.answer(browser, await browser.follow(address));
    expect((await fetch(end.headers.location ?? 'none:')).status).toBe(200);
    const ran = await login;
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain('Signed in as grace');
    expect(ran.stderr).toContain(address);
    expect(await readFile(join(folder, 'env'), 'utf8')).not.toContain('canary');

    const who = await run('whoami', '--json');
    expect(artifact(who).data).toMatchObject({
      user: 'grace',
      instance: rig.url,
      client: 'systemprompt-cli',
      scopes: ['user', 'admin'],
      by: 'browser',
      kept_in: 'file',
    });
    const token = (await run('whoami', '--url', rig.url, '--token-only')).stdout.trim();
    expect(await rig.identity.verifier.verify(token, `${rig.url}/api/v1`)).toMatchObject({ name: 'grace' });
    // The token is shown where it was asked for, and nowhere else.
    expect([ran, who].flatMap(({ stdout, stderr }) => [stdout, stderr]).join('')).not.toContain(token.slice(0, 20));

    expect(artifact(await run('logout', '--json')).items).toEqual([
      { instance: rig.url, user: 'grace', revoked: true },
    ]);
    await until('the token is refused', async () =>
      rig.identity.verifier.verify(token, `${rig.url}/api/v1`).then(
        () => false,
        () => true,
      ),
    );
    expect((await run('whoami', '--url', rig.url)).code).toBe(4);
  });

  it('shows code and address as a line of JSON where nobody can be asked, and ends with Ctrl-C', async () => {
    const child = startCli(['cloud', 'auth', 'login', '--url', rig.url, '--json'], { cwd: folder, env });
    child.stdin?.end();
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    reader.on('line', (line) => {
      if (lines.push(line) === 1) child.kill('SIGINT');
    });
    await once(child, 'close');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      event: 'device_code',
      user_code: expect.stringMatching(/^\w{4}-\w{4}$/),
      verification_uri: `${rig.url}/auth/device`,
    });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ ok: false, error: { code: 'CANCELLED' } });
    expect(child.exitCode).toBe(130);
  });

  it.each([
    ['ftp://prompt.example.com', 2],
    ['http://prompt.example.com', 2],
    ['https://user:pw@prompt.example.com', 2],
    ['https://prompt.example.com/x', 2],
    ['http://127.0.0.1:1', 6],
  ])('refuses %s', async (url, code) => {
    const { code: ended, stderr } = await run('login', '--url', url);
    expect([ended, stderr]).toEqual([code, expect.not.stringContaining('pw@')]);
  });
});
