import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLocalInstance, locateInstance, requireInstance } from '../../../../src/lib/infra/config/instance.ts';
import { packageRoot } from '../../../../src/lib/infra/config/package-root.ts';
import { INSTANCE_SECRETS } from '../../../../src/lib/infra/config/secrets/names.ts';
import { openSecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import { runFixture } from '../../../helpers/run-fixture.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function modesBelow(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const modes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mode & 0o777));
  return Object.fromEntries(names.map((name, index) => [name, modes[index]?.toString(8) ?? '']));
}

describe('createLocalInstance', () => {
  it.each([0o000, 0o022, 0o077])('makes everything private under umask %o', async (mask) => {
    await using folder = await temporaryFolder();
    const before = process.umask(mask);
    const instance = await createLocalInstance(folder.path, {}).finally(() => process.umask(before));
    expect((await stat(instance.dir)).mode & 0o777).toBe(0o700);
    expect(await modesBelow(instance.dir)).toEqual({
      '.gitignore': '600',
      data: '700',
      'instance.json': '600',
      logs: '700',
      'master.key': '600',
      profiles: '700',
      'profiles/local': '700',
      'profiles/local/profile.yaml': '600',
      run: '700',
      'secrets.json': '600',
      sessions: '700',
      'tenants.json': '600',
    });
    expect(await readdir(folder.path)).toEqual(['.systemprompt']);
  });

  it('fills it with tenant, secrets and a random id', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    expect(instance.id).toMatch(uuid);
    expect(JSON.parse(await readFile(join(instance.dir, 'instance.json'), 'utf8'))).toEqual({
      id: instance.id,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    expect(JSON.parse(await readFile(join(instance.dir, 'tenants.json'), 'utf8'))).toEqual({
      tenants: [{ id: 'local', name: 'local', tenant_type: 'local', created_at: expect.any(String) }],
    });
    expect(await readFile(join(instance.dir, '.gitignore'), 'utf8')).toBe('*\n');
    const store = await openSecretStore(instance);
    const values = await Promise.all(INSTANCE_SECRETS.map((name) => store.require(name)));
    expect(new Set(values).size).toBe(INSTANCE_SECRETS.length);
    for (const value of values) expect(Buffer.from(value, 'base64url')).toHaveLength(32);
  });

  it('leaves an existing one as it is', async () => {
    await using folder = await temporaryFolder();
    const first = await createLocalInstance(folder.path, {});
    const secrets = await readFile(join(first.dir, 'secrets.json'), 'utf8');
    expect(await createLocalInstance(folder.path, {})).toEqual(first);
    expect(await readFile(join(first.dir, 'secrets.json'), 'utf8')).toBe(secrets);
  });

  it('makes one instance when several processes create it at once', async () => {
    await using folder = await temporaryFolder();
    const creators = Array.from({ length: 4 }, () => runFixture('config/create-instance.ts', [folder.path]));
    await Promise.all(creators.map((creator) => creator.line()));
    for (const creator of creators) creator.process.stdin?.write('go');
    const ends = await Promise.all(creators.map((creator) => creator.ended()));
    expect(ends.map(({ code, stderr }) => ({ code, stderr }))).toEqual(creators.map(() => ({ code: 0, stderr: '' })));
    const instance = await requireInstance(folder.path, {});
    expect(new Set(ends.map(({ stdout }) => stdout.split('\n')[1]))).toEqual(new Set([instance.id]));
    expect(await readdir(folder.path)).toEqual(['.systemprompt']);
    const store = await openSecretStore(instance);
    expect(await store.names()).toEqual([...INSTANCE_SECRETS].sort());
    for (const name of INSTANCE_SECRETS) expect(await store.require(name)).toHaveLength(43);
  });

  it('makes one when the same process creates it twice at once', async () => {
    await using folder = await temporaryFolder();
    const [one, two] = await Promise.all([createLocalInstance(folder.path, {}), createLocalInstance(folder.path, {})]);
    expect(one).toEqual(two);
    expect(await readdir(folder.path)).toEqual(['.systemprompt']);
  });

  it('removes what a killed creator left, and not what one at work has', async () => {
    await using folder = await temporaryFolder();
    const dead = runFixture('config/create-instance.ts', [folder.path]);
    await dead.line();
    dead.process.kill('SIGKILL');
    await dead.ended();
    await mkdir(join(folder.path, `.systemprompt.new-${dead.process.pid}-00aa`));
    await mkdir(join(folder.path, `.systemprompt.new-${process.pid}-00bb`));
    await createLocalInstance(folder.path, {});
    expect((await readdir(folder.path)).sort()).toEqual(['.systemprompt', `.systemprompt.new-${process.pid}-00bb`]);
  });

  it('says why it can not be created', async () => {
    await using folder = await temporaryFolder();
    await expect(createLocalInstance(join(folder.path, 'none'), {})).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('there is no such folder'),
    });
    await writeFile(join(folder.path, '.systemprompt'), 'a file');
    await expect(createLocalInstance(folder.path, {})).rejects.toMatchObject({ code: 'PRECONDITION' });
    expect(await readdir(folder.path)).toEqual(['.systemprompt']);
  });

  it('does not touch a folder of the same name that is something else', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, '.systemprompt'));
    await writeFile(join(folder.path, '.systemprompt/notes.txt'), 'mine');
    await expect(createLocalInstance(folder.path, {})).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('is there and is no instance'),
    });
    expect(await readdir(join(folder.path, '.systemprompt'))).toEqual(['notes.txt']);
    expect(await locateInstance(folder.path, {})).toBeUndefined();
  });
});

describe('locateInstance', () => {
  it('walks up, and stops at the nearest', async () => {
    await using folder = await temporaryFolder();
    const outer = await createLocalInstance(folder.path, {});
    const inner = join(folder.path, 'a');
    await mkdir(join(inner, 'b/c'), { recursive: true });
    expect(await locateInstance(join(inner, 'b/c'), {})).toEqual(outer);
    const nearer = await createLocalInstance(inner, {});
    expect((await locateInstance(join(inner, 'b/c'), {}))?.id).toBe(nearer.id);
    expect((await locateInstance(folder.path, {}))?.id).toBe(outer.id);
    expect((await locateInstance(join(folder.path, 'not/there'), {}))?.id).toBe(outer.id);
  });

  it('takes SYSTEMPROMPT_ROOT at its word', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    await mkdir(join(folder.path, 'sub'));
    expect(await locateInstance('/', { SYSTEMPROMPT_ROOT: folder.path })).toEqual(instance);
    expect(await locateInstance(folder.path, { SYSTEMPROMPT_ROOT: '.' })).toEqual(instance);
    expect(await locateInstance(folder.path, { SYSTEMPROMPT_ROOT: join(folder.path, 'sub') })).toBeUndefined();
    await expect(requireInstance(folder.path, { SYSTEMPROMPT_ROOT: 'sub' })).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('which SYSTEMPROMPT_ROOT names'),
      next: ['infra services start'],
    });
  });

  it('uses the services of the project, else those of the package', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    expect(instance.servicesDir).toBe(join(packageRoot(), 'services'));
    await mkdir(join(folder.path, 'services'));
    expect((await requireInstance(folder.path, {})).servicesDir).toBe(join(folder.path, 'services'));
  });

  it('uses the services that the active profile names, and leaves a profile that does not hold to whoever loads it', async () => {
    await using folder = await temporaryFolder();
    const { projectDir } = await createLocalInstance(folder.path, {});
    const profile = join(projectDir, 'profiles/local/profile.yaml');
    const servicesDir = async () => (await requireInstance(folder.path, {})).servicesDir;
    for (const [text, expected] of [
      ['paths: { services: config/code }', join(folder.path, 'config/code')],
      ['"paths":\n  services: ../code', join(folder.path, '../code')],
      ['paths:\n  services: /etc/code', '/etc/code'],
      ['# paths: { services: code }', join(packageRoot(), 'services')],
      ['paths: { services: ./services/ }', join(packageRoot(), 'services')],
      ['paths: { service: code }', join(packageRoot(), 'services')],
    ] as const) {
      await writeFile(profile, `${text}\n`);
      expect(await servicesDir(), text).toBe(expected);
    }
    await mkdir(join(projectDir, 'profiles/other'));
    await writeFile(join(projectDir, 'profiles/other/profile.yaml'), 'paths: { services: other }\n');
    await writeFile(profile, '{}\n');
    expect((await requireInstance(folder.path, {}, 'other')).servicesDir).toBe(join(folder.path, 'other'));
    expect(await servicesDir()).toBe(join(packageRoot(), 'services'));
  });

  it('refuses a folder that is open to others and says how to close it', async () => {
    await using folder = await temporaryFolder();
    const { dir } = await createLocalInstance(folder.path, {});
    await chmod(dir, 0o755);
    await expect(requireInstance(folder.path, {})).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: `The instance folder ${dir} is open to other users (mode 755).`,
      hint: `Close it: chmod 700 ${dir}`,
    });
  });

  it.each([
    ['{', 'is not JSON'],
    ['', 'is not JSON'],
    ['null', 'holds no instance id'],
    ['{"id":"../../etc"}', 'holds no instance id'],
  ])('reports an instance.json of %j', async (content, what) => {
    await using folder = await temporaryFolder();
    const { dir } = await createLocalInstance(folder.path, {});
    await writeFile(join(dir, 'instance.json'), content);
    await expect(locateInstance(folder.path, {})).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: `The instance is damaged: ${join(dir, 'instance.json')} ${what}.`,
    });
  });

  it('reports an instance that lost its instance.json', async () => {
    await using folder = await temporaryFolder();
    const { dir } = await createLocalInstance(folder.path, {});
    await rm(join(dir, 'instance.json'));
    const lost = { code: 'PRECONDITION', message: expect.stringContaining('is missing') };
    await expect(locateInstance(folder.path, {})).rejects.toMatchObject(lost);
    await expect(createLocalInstance(folder.path, {})).rejects.toMatchObject(lost);
  });
});

describe('the hot path', () => {
  it.each(['instance.ts', 'profile.ts'])('%s loads modules of node and of its own folder only', async (module) => {
    await using folder = await temporaryFolder();
    await createLocalInstance(folder.path, {});
    const url = new URL(`../../../../src/lib/infra/config/${module}`, import.meta.url).href;
    const { code, stdout, stderr } = await runFixture('config/modules-loaded.ts', [url, folder.path]).ended();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const loaded = JSON.parse(stdout) as string[];
    expect(loaded).toContain(url);
    expect(loaded.filter((name) => name.includes('node_modules'))).toEqual([]);
  });
});
