import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createLocalInstance, requireInstance } from '../../../../src/lib/infra/config/instance.ts';
import { ensureRuntimeDir, preferredRuntimeDir } from '../../../../src/lib/infra/config/runtime-dir.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const fallback = `/tmp/systemprompt-${process.getuid?.()}`;
const made: string[] = [];

afterEach(async () => {
  for (const dir of made.splice(0)) await rm(dir, { recursive: true, force: true });
});

describe('the folder of the sockets', () => {
  it('lies in the runtime folder of the login, where that is ours alone and short', async () => {
    await using base = await temporaryFolder();
    expect(preferredRuntimeDir('id', { XDG_RUNTIME_DIR: base.path })).toMatch(
      new RegExp(`^${base.path}/[0-9a-f]{12}$`),
    );
    expect(preferredRuntimeDir('id', {})).toMatch(new RegExp(`^${fallback}/[0-9a-f]{12}$`));
    const long = join(base.path, 'x'.repeat(80));
    await mkdir(long);
    for (const unusable of ['', 'relative', '/does/not/exist', long]) {
      expect(preferredRuntimeDir('id', { XDG_RUNTIME_DIR: unusable })).toBe(preferredRuntimeDir('id', {}));
    }
    await chmod(base.path, 0o777);
    expect(preferredRuntimeDir('id', { XDG_RUNTIME_DIR: base.path })).toBe(preferredRuntimeDir('id', {}));
  });

  it('leaves room for the longest socket name of ours', async () => {
    await using base = await temporaryFolder();
    for (let length = 1; length < 90; length += 1) {
      const dir = join(base.path, 'x'.repeat(length));
      await mkdir(dir);
      const path = join(preferredRuntimeDir('id', { XDG_RUNTIME_DIR: dir }), '.s.PGSQL.65535.lock');
      expect(Buffer.byteLength(path)).toBeLessThan(104);
    }
  });

  it('is private, recorded, and found again from another environment', async () => {
    await using base = await temporaryFolder();
    await using project = await temporaryFolder();
    const instance = await createLocalInstance(project.path, { XDG_RUNTIME_DIR: base.path });
    expect(instance.controlSocket).toBe(join(instance.runtimeDir, 'control.sock'));
    expect(await ensureRuntimeDir(instance)).toBe(instance.runtimeDir);
    expect(await ensureRuntimeDir(instance)).toBe(instance.runtimeDir);
    expect((await stat(instance.runtimeDir)).mode & 0o777).toBe(0o700);
    expect((await requireInstance(project.path, {})).runtimeDir).toBe(instance.runtimeDir);
    // The login's folder goes with its last session.
    await rm(base.path, { recursive: true });
    expect((await requireInstance(project.path, {})).runtimeDir.startsWith(fallback)).toBe(true);
  });

  it('is made under /tmp where the login has none', async () => {
    await using project = await temporaryFolder();
    const instance = await createLocalInstance(project.path, {});
    made.push(instance.runtimeDir);
    await ensureRuntimeDir(instance);
    expect((await stat(fallback)).mode & 0o777).toBe(0o700);
  });

  it.each(['{', '{"dir":5}', '{"dir":"relative"}', '{"dir":"/does/not/exist"}', ''])(
    'ignores a record of %j',
    async (record) => {
      await using project = await temporaryFolder();
      const instance = await createLocalInstance(project.path, {});
      await writeFile(join(instance.runDir, 'runtime.json'), record);
      expect((await requireInstance(project.path, {})).runtimeDir).toBe(instance.runtimeDir);
    },
  );

  it('is refused where somebody else prepared it', async () => {
    await using base = await temporaryFolder();
    await using project = await temporaryFolder();
    const instance = await createLocalInstance(project.path, { XDG_RUNTIME_DIR: base.path });
    await mkdir(join(base.path, 'elsewhere'));
    await symlink('elsewhere', instance.runtimeDir);
    await expect(ensureRuntimeDir(instance)).rejects.toMatchObject({
      code: 'PRECONDITION',
      hint: `Remove it: rm ${instance.runtimeDir}`,
    });
    await rm(instance.runtimeDir);
    await mkdir(instance.runtimeDir);
    await chmod(instance.runtimeDir, 0o750);
    await expect(ensureRuntimeDir(instance)).rejects.toMatchObject({ hint: expect.stringContaining('chmod 700') });
    await chmod(instance.runtimeDir, 0o700);
    await chmod(base.path, 0o777);
    await expect(ensureRuntimeDir(instance)).rejects.toMatchObject({
      message: expect.stringContaining('others can write there'),
    });
    await expect(readFile(join(instance.runDir, 'runtime.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
