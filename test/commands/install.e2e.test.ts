import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { runCli } from '../helpers/cli.ts';
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts';

const isRoot = process.getuid?.() === 0;
/** Root has to say that it means itself. */
const asSelf = isRoot ? ['--user', '--run-as', 'root'] : ['--user'];

let folder: TemporaryFolder;
let instance: Instance;
let config: string;
let unit: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  const root = join(folder.path, 'my project');
  config = join(folder.path, 'config');
  await mkdir(root);
  instance = await createLocalInstance(root);
  unit = join(config, 'systemd', 'user', `systemprompt-${instance.id.slice(0, 8)}.service`);
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

const run = (...argv: string[]) =>
  runCli(['infra', 'services', ...argv], { cwd: instance.root, env: { XDG_CONFIG_HOME: config } });

describe.skipIf(process.platform !== 'linux')('infra services install and uninstall', () => {
  it('shows the file with --dry-run, and asks for --yes where nobody can answer; neither writes', async () => {
    const shown = await run('install', ...asSelf, '--dry-run', '--json');
    const { artifact } = JSON.parse(shown.stdout) as { artifact: { content: string; data: { path: string } } };
    expect(artifact.data.path).toBe(unit);
    expect(artifact.content).toContain(`SYSTEMPROMPT_ROOT=${instance.root}`);
    const refused = await run('install', ...asSelf);
    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain('ExecStart=');
    expect(refused.stderr).toContain('--yes');
    expect(existsSync(config)).toBe(false);
  });

  it('writes it whole, says what to run where systemd is out of reach, changes nothing the second time, and takes it back', async () => {
    const first = await run('install', ...asSelf, '--yes');
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain('ExecStart=');
    expect(first.stdout).toContain('Installed');
    expect(first.stdout).toContain(`systemctl --user enable --now ${unit.split('/').at(-1)}`);
    expect(first.stdout).toContain('loginctl enable-linger');
    expect(await readdir(dirname(unit))).toEqual([unit.split('/').at(-1)]);
    const text = await readFile(unit, 'utf8');
    const [program] = /(?<=ExecStart=")[^"]+/.exec(text) ?? [];
    expect(program).toMatch(/^\/.*node$/);
    const secrets = await openSecretStore(instance);
    for (const name of await secrets.names()) expect(text).not.toContain(await secrets.require(name));

    const { mtimeMs } = await stat(unit);
    const again = await run('install', ...asSelf, '--yes');
    expect(again.stdout).toContain('Installed already');
    expect((await stat(unit)).mtimeMs).toBe(mtimeMs);

    await writeFile(unit, `${text}# somebody's edit\n`);
    expect((await run('install', ...asSelf, '--yes')).stdout).toContain('Replaced');
    expect(await readFile(unit, 'utf8')).toBe(text);

    expect((await run('uninstall', '--user')).code).toBe(5);
    expect(existsSync(unit)).toBe(true);
    // As systemctl enable leaves it, beside that of somebody else.
    const wants = join(dirname(unit), 'default.target.wants');
    await mkdir(wants);
    await symlink(unit, join(wants, basename(unit)));
    await symlink('/nowhere/other.service', join(wants, 'other.service'));
    const removed = await run('uninstall', '--user', '--yes');
    expect(removed.code, removed.stderr).toBe(0);
    expect(await readdir(dirname(unit))).toEqual(['default.target.wants']);
    expect(await readdir(wants)).toEqual(['other.service']);
    expect(removed.stdout).toContain(`systemctl --user stop ${basename(unit)}`);
    expect(removed.stdout).not.toContain('disable');
    expect((await run('uninstall', '--user', '--yes')).code).toBe(3);
  });

  it('leaves a file of somebody else alone', async () => {
    await mkdir(dirname(unit), { recursive: true });
    await writeFile(unit, '[Service]\nExecStart=/bin/true\n');
    for (const argv of [
      ['install', ...asSelf, '--yes'],
      ['uninstall', '--user', '--yes'],
    ]) {
      const refused = await run(...argv);
      expect(refused.code).toBe(6);
      expect(refused.stderr).toContain(`${unit} was not written by systemprompt`);
    }
    expect(await readFile(unit, 'utf8')).toBe('[Service]\nExecStart=/bin/true\n');
  });

  it.runIf(isRoot)('never runs as root unasked, and for root as the owner of the folder', async () => {
    for (const scope of [[], ['--system'], ['--user']]) {
      const refused = await run('install', ...scope, '--yes');
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('would run as root');
      expect(refused.stderr).toContain(['infra services install', ...scope, '--run-as root'].join(' '));
    }
    const looked = await run('install', '--user', '--dry-run');
    expect(looked.code, looked.stderr).toBe(0);
    expect(looked.stdout).toContain('ExecStart=');
    expect(looked.stderr).toContain('infra services install --user --run-as root');
    expect((await run('install', '--run-as', 'nobody-of-that-name', '--yes')).code).toBe(3);
    expect((await run('install', '--run-as', 'nobody', '--yes')).code).toBe(6);

    for (const path of [instance.root, instance.dir]) await chown(path, 65_534, 65_534);
    const shown = await run('install', '--dry-run');
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toContain('User=nobody');
    expect((await run('install', '--dry-run', '--profile', 'local')).stdout).toContain('SYSTEMPROMPT_PROFILE=local');
    const unknown = await run('install', '--dry-run', '--profile', 'nope');
    expect(unknown.code).toBe(3);
    expect(unknown.stderr).toContain('There is: local');
    const user = await run('install', '--user', '--dry-run');
    expect(user.code).toBe(2);
    expect(existsSync(config)).toBe(false);
  });

  it.skipIf(isRoot)('tells an ordinary user that the machine is root’s', async () => {
    const refused = await run('install', '--system', '--yes');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('--user');
  });
});
