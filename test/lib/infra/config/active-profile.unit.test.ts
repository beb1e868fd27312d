import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  activeProfile,
  deletionMark,
  directoryProfileFile,
  scanTenant,
  selectionFile,
  tenantOfProfile,
} from '../../../../src/lib/infra/config/active-profile.ts';
import { createLocalInstance, locateInstance, tenantInstance } from '../../../../src/lib/infra/config/instance.ts';
import { requireInstanceSite } from '../../../../src/lib/infra/config/instance-site.ts';
import { loadProfile, profileFile } from '../../../../src/lib/infra/config/profile.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

async function project(profiles: readonly string[] = []) {
  const folder = await temporaryFolder();
  const projectDir = join(folder.path, '.systemprompt');
  await mkdir(join(projectDir, 'profiles'), { recursive: true, mode: 0o700 });
  for (const name of profiles) await mkdir(join(projectDir, 'profiles', name));
  return { folder, place: { root: folder.path, projectDir } };
}

describe('activeProfile', () => {
  it('goes by the flag, the environment, the folder, the selection, the only one, and `local` at last', async () => {
    const { folder, place } = await project(['one']);
    await using _ = folder;
    const inner = join(folder.path, 'a/b');
    await mkdir(inner, { recursive: true });
    const env = {};
    const of = (extra: Partial<Parameters<typeof activeProfile>[1]> = {}) =>
      activeProfile(place, { cwd: inner, env, ...extra });

    expect(of()).toEqual({ name: 'one', from: 'only' });
    await mkdir(join(place.projectDir, 'profiles/two'));
    expect(of()).toEqual({ name: 'local', from: 'default' });
    const selection = join(place.projectDir, selectionFile);
    await writeFile(selection, '{"version":1,"profile":"two"}');
    expect(of()).toEqual({ name: 'two', from: 'selection', file: selection });
    const outer = join(folder.path, directoryProfileFile);
    await writeFile(outer, 'outer\n');
    expect(of()).toEqual({ name: 'outer', from: 'directory', file: outer });
    const nearer = join(folder.path, 'a', directoryProfileFile);
    await writeFile(nearer, '  nearer  \n');
    expect(of()).toMatchObject({ name: 'nearer', file: nearer });
    expect(of({ cwd: folder.path })).toMatchObject({ name: 'outer' });
    expect(of({ env: { SYSTEMPROMPT_PROFILE: 'env' } })).toEqual({ name: 'env', from: 'environment' });
    expect(of({ env: { SYSTEMPROMPT_PROFILE: '' } })).toMatchObject({ name: 'nearer' });
    expect(of({ env: { SYSTEMPROMPT_PROFILE: 'env' }, profile: 'flag' })).toEqual({ name: 'flag', from: 'flag' });
    // The command line hands both on as one.
    expect(of({ env: { SYSTEMPROMPT_PROFILE: 'env' }, profile: 'env' })).toEqual({ name: 'env', from: 'environment' });
  });

  it('does not ask folders that are not in the project', async () => {
    const { folder, place } = await project();
    await using _ = folder;
    await using other = await temporaryFolder();
    await writeFile(join(other.path, directoryProfileFile), 'theirs');
    expect(activeProfile(place, { cwd: other.path, env: {} })).toMatchObject({ name: 'local' });
    await writeFile(join(folder.path, directoryProfileFile), 'ours');
    expect(activeProfile(place, { cwd: other.path, env: {} })).toMatchObject({ name: 'ours' });
  });

  it.each(['', '../x', 'Local', 'a b', 'a\nb'])('refuses a selection of %j, naming the file', async (content) => {
    const { folder, place } = await project();
    await using _ = folder;
    const file = join(folder.path, directoryProfileFile);
    await writeFile(file, content);
    const request = { cwd: folder.path, env: {} };
    expect(() => activeProfile(place, request)).toThrow(
      expect.objectContaining({ code: 'PRECONDITION', data: { file } }),
    );
    await writeFile(file, 'good');
    expect(activeProfile(place, request).name).toBe('good');
    expect(() => activeProfile({ ...place, root: join(folder.path, '.systemprompt') }, request)).not.toThrow();
  });

  it.each(['{', 'null', '[]', '{"profile":1}', '{"profile":"../x"}'])(
    'refuses the selection file %j',
    async (content) => {
      const { folder, place } = await project();
      await using _ = folder;
      await writeFile(join(place.projectDir, selectionFile), content);
      expect(() => activeProfile(place, { cwd: folder.path, env: {} })).toThrow(/holds no name of a profile/);
    },
  );
});

describe('scanTenant', () => {
  it.each([
    ['tenant: acme', 'acme'],
    ['name: x\r\ntenant: acme\r\nserver: {}', 'acme'],
    ['tenant:  "acme-2" # why', 'acme-2'],
    ["tenant : 'a'", 'a'],
    ['# tenant: no\nserver:\n  tenant: no\n', 'local'],
    ['', 'local'],
    ['tenants: x', 'local'],
  ])('%j is of %s', (text, tenant) => {
    expect(scanTenant(text, 'p.yaml')).toBe(tenant);
  });

  it.each([
    'tenant:',
    'tenant: ',
    'tenant: &a acme',
    'tenant: !!str acme',
    'tenant: |\n acme',
    'tenant: A',
    'tenant: a#b',
    'tenant: ../x',
  ])('%j is a finding with its place', (line) => {
    expect(() => scanTenant(`name: x\n${line}`, 'p.yaml')).toThrow(/^p\.yaml:2:1 {2}`tenant` must be/);
  });

  it('is confirmed when the profile is loaded: what a parser sees and a look at the text does not is refused', async () => {
    await using folder = await temporaryFolder();
    const instance = await createLocalInstance(folder.path, {});
    const file = profileFile(instance, 'local');
    await writeFile(file, 'tenant: local\n');
    expect((await loadProfile(instance, 'local', {})).tenant).toBe('local');
    for (const text of ['"tenant": acme\n', '{ tenant: acme }\n', '? tenant\n: acme\n']) {
      await writeFile(file, text);
      await expect(loadProfile(instance, 'local', {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    }
  });
});

describe('locateInstance', () => {
  it("gives the active profile's tenant, with a state of its own", async () => {
    await using folder = await temporaryFolder();
    const local = await createLocalInstance(folder.path, {});
    expect(local).toMatchObject({ tenant: 'local', dir: local.projectDir });
    await mkdir(join(local.projectDir, 'profiles/acme'), { mode: 0o700 });
    await writeFile(profileFile(local, 'acme'), 'tenant: acme\n');
    expect(tenantOfProfile(local.projectDir, 'acme')).toBe('acme');
    await expect(locateInstance(folder.path, {}, 'acme')).rejects.toMatchObject({
      code: 'PRECONDITION',
      data: { profile: 'acme', tenant: 'acme' },
    });

    const dir = join(local.projectDir, 'tenants/acme');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const id = '0a0a0a0a-0000-4000-8000-000000000000';
    await writeFile(join(dir, 'instance.json'), JSON.stringify({ id }));
    const found = await locateInstance(folder.path, {}, 'acme');
    expect(found).toMatchObject({ id, tenant: 'acme', root: folder.path, projectDir: local.projectDir, dir });
    expect(found?.runDir).toBe(join(dir, 'run'));
    expect(found?.controlSocket).not.toBe(local.controlSocket);
    expect((await locateInstance(folder.path, {}))?.id).toBe(local.id);
    const site = await requireInstanceSite({ cwd: folder.path, env: {}, profile: 'acme' });
    expect(site).toMatchObject({ id, dir, profile: 'acme', projectDir: local.projectDir });

    await writeFile(join(dir, deletionMark), '{}');
    await expect(locateInstance(folder.path, {}, 'acme')).rejects.toThrow(/is being deleted/);
    expect((await tenantInstance(local, 'local', {}))?.id).toBe(local.id);
  });
});
