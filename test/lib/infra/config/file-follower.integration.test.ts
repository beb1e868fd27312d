import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { FileFollower } from '../../../../src/lib/infra/config/file-follower.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

describe('FileFollower', () => {
  let root: string;
  let services: string;
  let outside: string;
  let told = 0;
  let follower: FileFollower;

  beforeEach(async () => {
    const folder = await temporaryFolder();
    root = folder.path;
    services = join(root, 'services');
    outside = join(root, 'outside');
    await mkdir(join(services, 'skills/own'), { recursive: true });
    await mkdir(join(services, 'shared'));
    await mkdir(outside);
    told = 0;
    follower = new FileFollower({
      quietMs: 20,
      atMostMs: 200,
      onChange: () => {
        told += 1;
      },
      onError: (error) => expect.fail(String(error)),
    });
    return async () => {
      await follower.close();
      await folder[Symbol.asyncDispose]();
    };
  });

  /** Writes and waits until it is told; then every change before it was, or never will be. */
  async function isTold(file: string): Promise<void> {
    const before = told;
    await writeFile(file, `${Math.random()}`);
    await until(`the change of ${file}`, () => told > before);
  }

  it('goes through no link that leads away: what lies there is none of its business, be it the whole disk', async () => {
    await symlink('/', join(services, 'skills/disk'));
    await symlink(outside, join(services, 'skills/away'));
    await follower.follow([join(services, 'skills')]);
    await writeFile(join(outside, 'file'), 'x');
    await writeFile(join(outside, 'file'), 'y');
    await isTold(join(services, 'skills/own/first.md'));
    await symlink(outside, join(services, 'skills/later'));
    await isTold(join(services, 'skills/own/second.md'));
    const after = told;
    for (let round = 0; round < 5; round += 1) await writeFile(join(outside, 'file'), `${round}`);
    await isTold(join(services, 'skills/own/third.md'));
    expect(told).toBe(after + 1);
  }, 20_000);

  it('sees every change from the moment that it says so, also beside folders that are not there', async () => {
    for (let index = 0; index < 300; index += 1) await mkdir(join(services, `skills/s${index}`));
    await follower.follow(['skills', 'mcp', 'agents', 'web'].map((name) => join(services, name)));
    await isTold(join(services, 'skills/s299/index.md'));
    await mkdir(join(services, 'agents'));
    await isTold(join(services, 'agents/a.yaml'));
    // What lies beside them is none of it.
    const before = told;
    await writeFile(join(services, 'README.md'), '');
    await writeFile(join(services, 'shared/x.yaml'), '');
    await isTold(join(services, 'agents/b.yaml'));
    expect(told).toBe(before + 1);
  }, 20_000);

  it('says when it watches anew, and does so for what came with a new folder', async () => {
    const paths = [join(services, 'skills')];
    expect(await follower.follow(paths)).toBe(true);
    await isTold(join(services, 'skills/own/first.md'));
    expect(await follower.follow(paths)).toBe(false);
    await mkdir(join(services, 'skills/later'));
    await until('the folder', () => told > 1);
    expect(await follower.follow(paths)).toBe(true);
    expect(await follower.follow(paths)).toBe(false);
    await isTold(join(services, 'skills/later/first.md'));
  }, 20_000);

  it('follows a link within, a linked file, and a folder that is made anew', async () => {
    await symlink('../shared', join(services, 'skills/shared'));
    await writeFile(join(outside, 'profile.yaml'), '');
    await mkdir(join(root, 'profiles/local'), { recursive: true });
    await symlink(join(outside, 'profile.yaml'), join(root, 'profiles/local/profile.yaml'));
    await follower.follow([join(services, 'skills'), join(root, 'profiles/local/profile.yaml')]);
    await isTold(join(services, 'shared/index.md'));
    await isTold(join(outside, 'profile.yaml'));
    await rename(join(services, 'skills'), join(root, 'gone'));
    await mkdir(join(services, 'skills/own'), { recursive: true });
    await until('the folder', () => told > 2);
    await isTold(join(services, 'skills/own/index.md'));
    await rm(join(services, 'skills'), { recursive: true });
  }, 20_000);
});
