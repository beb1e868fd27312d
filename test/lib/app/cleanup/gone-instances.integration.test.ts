import { createHash, randomUUID } from 'node:crypto';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deadSocketFolders, goneInstances } from '../../../../src/lib/app/cleanup/gone-instances.ts';
import { rootInstanceDir, rootInstancesDir } from '../../../../src/lib/infra/process/postgres-place.ts';
import { EmbeddedFixture } from '../../../helpers/embedded.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const isRoot = process.getuid?.() === 0;

/** A folder as root's instances have one, whose project is in `dir`. */
async function dataOf(instances: string, dir: string, changes: Record<string, unknown> = {}): Promise<string> {
  const id = randomUUID();
  const folder = join(instances, createHash('sha256').update(id).digest('hex').slice(0, 12));
  await mkdir(join(folder, 'data'), { recursive: true });
  await mkdir(join(folder, 'socket'));
  await writeFile(join(folder, 'data', 'PG_VERSION'), '18\n');
  const { dev } = await stat(instances);
  await writeFile(join(folder, 'instance.json'), JSON.stringify({ id, dir, device: dev, ...changes }));
  return folder;
}

describe.skipIf(!isRoot)('data of instances that are gone (root keeps it outside of the project)', () => {
  it('of a tenant is kept when its project was moved', async () => {
    await using folder = await temporaryFolder();
    const instances = join(folder.path, 'instances');
    const data = await dataOf(instances, join(folder.path, 'before', '.systemprompt', 'tenants', 'acme'));
    const [found] = (await goneInstances(instances)).items;
    expect(found?.what).toBe(data);
    const moved = join(folder.path, 'after', '.systemprompt', 'tenants', 'acme');
    await mkdir(moved, { recursive: true });
    await writeFile(join(moved, 'instance.json'), await readFile(join(data, 'instance.json'), 'utf8'));
    const { items, kept } = await goneInstances(instances);
    expect(items).toEqual([]);
    expect(kept.join()).toContain(moved);
    await expect(found?.remove()).rejects.toThrow('is in use again');
  });

  it('is found where the project is gone or another is in its place, and nowhere else', async () => {
    await using folder = await temporaryFolder();
    const instances = join(folder.path, 'instances');
    const gone = await dataOf(instances, join(folder.path, 'gone', '.systemprompt'));
    const replaced = join(folder.path, 'replaced', '.systemprompt');
    const alive = join(folder.path, 'alive', '.systemprompt');
    const other = await dataOf(instances, replaced);
    const living = await dataOf(instances, alive);
    for (const dir of [replaced, alive]) await mkdir(dir, { recursive: true });
    await writeFile(join(replaced, 'instance.json'), JSON.stringify({ id: randomUUID() }));
    await writeFile(join(alive, 'instance.json'), await readFile(join(living, 'instance.json'), 'utf8'));
    const unmounted = await dataOf(instances, '/nowhere/.systemprompt', { device: 1 });
    const unrecorded = join(instances, '0123456789ab');
    await mkdir(unrecorded);
    const lying = await dataOf(instances, '/nowhere/.systemprompt', { id: randomUUID() });
    const interrupted = join(instances, `.removing-${randomUUID()}`);
    await mkdir(interrupted);
    const precious = join(folder.path, 'precious');
    await writeFile(precious, 'keep');
    await symlink(precious, join(gone, 'data', 'link'));

    const { items, kept } = await goneInstances(instances);
    expect(items.map(({ what }) => what).sort()).toEqual([gone, other, interrupted].sort());
    expect(items.find(({ what }) => what === gone)).toMatchObject({
      kind: 'data',
      reason: expect.stringContaining('is gone'),
    });
    expect(items.find(({ what }) => what === gone)?.bytes).toBeGreaterThan(0);
    expect(kept.join('\n')).toContain(`${unmounted}: `);
    expect(kept.join('\n')).toContain('2 folders');
    for (const item of items) await item.remove();
    const left = (await readdir(instances)).map((name) => join(instances, name)).sort();
    expect(left).toEqual([living, unmounted, unrecorded, lying].sort());
    expect(await readFile(precious, 'utf8')).toBe('keep');
  });

  it('is left alone when the project was moved: into which we are, or which is not far', async () => {
    await using folder = await temporaryFolder();
    const instances = join(folder.path, 'instances');
    const own = await dataOf(instances, join(folder.path, 'old', '.systemprompt'));
    const { id } = JSON.parse(await readFile(join(own, 'instance.json'), 'utf8')) as { id: string };
    const neighbour = await dataOf(instances, join(folder.path, 'gone', 'app', '.systemprompt'));
    const moved = join(folder.path, 'shelf', 'app', '.systemprompt');
    await mkdir(moved, { recursive: true });
    await writeFile(join(moved, 'instance.json'), await readFile(join(neighbour, 'instance.json'), 'utf8'));
    const { items, kept } = await goneInstances(instances, id);
    expect(items).toEqual([]);
    expect(kept).toEqual([expect.stringMatching(`^${neighbour}: .*moved.*${moved}`)]);
    expect((await goneInstances(instances)).items.map(({ what }) => what)).toEqual([own]);
  });

  it('is not removed when its project has come back since it was looked at', async () => {
    await using folder = await temporaryFolder();
    const instances = join(folder.path, 'instances');
    const dir = join(folder.path, 'away', '.systemprompt');
    const data = await dataOf(instances, dir);
    const [item] = (await goneInstances(instances)).items;
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'instance.json'), await readFile(join(data, 'instance.json'), 'utf8'));
    await expect(item?.remove()).rejects.toThrow('in use again');
    expect(existsSync(join(data, 'data', 'PG_VERSION'))).toBe(true);
  });

  it('is left alone while a socket of it answers', async () => {
    await using folder = await temporaryFolder();
    const data = await dataOf(folder.path, join(folder.path, 'gone', '.systemprompt'));
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(join(data, 'socket', '.s.PGSQL.1'), resolve));
    const { items, kept } = await goneInstances(folder.path);
    expect(items).toEqual([]);
    expect(kept).toEqual([expect.stringContaining('PostgreSQL answers')]);
    await new Promise((resolve) => server.close(resolve));
    expect((await goneInstances(folder.path)).items).toHaveLength(1);
  });

  it('is never removed under the PostgreSQL that runs on it', async () => {
    const fixture = await EmbeddedFixture.create();
    const data = rootInstanceDir(fixture.instance.id);
    try {
      const { child } = await fixture.start();
      const found = async () => {
        const { items, kept } = await goneInstances(rootInstancesDir);
        return {
          item: items.find(({ what }) => what === data),
          kept: kept.find((sentence) => sentence.startsWith(data)),
        };
      };
      expect(await found()).toEqual({});
      await rm(fixture.instance.root, { recursive: true });
      expect(await found()).toEqual({ kept: expect.stringMatching(/is gone, but PostgreSQL runs on it \(pid \d+\)/) });
      await fixture.stop(child);
      const { item } = await found();
      expect(item?.bytes).toBeGreaterThan(10_000_000);
      await item?.remove();
      expect(existsSync(data)).toBe(false);
    } finally {
      await fixture.remove();
    }
  });
});

describe('folders of sockets that nobody listens on', () => {
  it('are found when they are old, hold nothing else, and are not our own', async () => {
    const shared = await mkdtemp(join(tmpdir(), 'systemprompt-test-'));
    const made = async (name: string, entries: readonly string[] = []): Promise<string> => {
      const path = join(shared, name);
      await mkdir(path);
      for (const entry of entries) await writeFile(join(path, entry), '');
      utimesSync(path, 0, 0);
      return path;
    };
    const server = createServer();
    try {
      const empty = await made('aaaaaaaaaaaa');
      await made('bbbbbbbbbbbb', ['notes.txt']);
      const own = await made('cccccccccccc');
      await mkdir(join(shared, 'dddddddddddd'));
      await made('somebody-else');
      const used = await made('eeeeeeeeeeee');
      await new Promise<void>((resolve) => server.listen(join(used, 'control.sock'), resolve));
      utimesSync(used, 0, 0);
      const { items } = await deadSocketFolders(shared, own);
      expect(items.map(({ what }) => what)).toEqual([empty]);
      await items[0]?.remove();
      expect(existsSync(empty)).toBe(false);
      // An instance has started in it after it was looked at.
      const busy = await made('ffffffffffff');
      const [late] = (await deadSocketFolders(shared, own)).items;
      const starting = createServer();
      await new Promise<void>((resolve) => starting.listen(join(busy, 'control.sock'), resolve));
      await expect(late?.remove()).rejects.toThrow();
      expect(existsSync(join(busy, 'control.sock'))).toBe(true);
      await new Promise((resolve) => starting.close(resolve));
      const [again] = (await deadSocketFolders(shared, own, Date.now() + 7_200_000)).items.filter(
        ({ what }) => what === busy,
      );
      const database = createServer();
      await new Promise<void>((resolve) => database.listen(join(busy, '.s.PGSQL.1'), resolve));
      await expect(again?.remove()).rejects.toThrow('in use again');
      expect(existsSync(join(busy, '.s.PGSQL.1'))).toBe(true);
      await new Promise((resolve) => database.close(resolve));
    } finally {
      await new Promise((resolve) => server.close(resolve));
      await rm(shared, { recursive: true });
    }
  });
});
