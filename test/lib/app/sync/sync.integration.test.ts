import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bodyOf } from '../../../../src/lib/app/sync/files.ts';
import type { Strategy } from '../../../../src/lib/app/sync/plan.ts';
import { addVersion, listVersions, versionBody } from '../../../../src/lib/app/sync/repository.ts';
import { type SyncResult, syncLocal } from '../../../../src/lib/app/sync/sync.ts';
import type { Instance } from '../../../../src/lib/infra/config/instance.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

/** A folder with `services/` and what it has seen of the database. */
class Checkout {
  readonly instance: Instance;

  constructor(root: string) {
    this.instance = { root, dir: join(root, '.systemprompt'), servicesDir: join(root, 'services') } as Instance;
  }

  async write(path: string, text: string): Promise<void> {
    const file = join(this.instance.root, 'services', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  read(path: string): Promise<string> {
    return readFile(join(this.instance.root, 'services', path), 'utf8');
  }

  remove(path: string): Promise<void> {
    return rm(join(this.instance.root, 'services', path));
  }

  sync(direction: 'to-db' | 'to-disk', strategy?: Strategy, dryRun = false): Promise<SyncResult> {
    return syncLocal(this.instance, db, { kind: 'all', direction, strategy, dryRun, by: 'tester' });
  }
}

const server = (port: number, more = ''): string =>
  `# kept\nmcp_servers:\n  alpha:\n    module: a.js\n    port: ${port}\n    description: One\n    oauth: { scopes: [user] }\n${more}`;
const path = 'mcp/alpha.yaml';

let test: TestDatabase;
let db: Database;
let root: string;
let mine: Checkout;
let theirs: Checkout;

async function checkout(name: string): Promise<Checkout> {
  const folder = join(root, name);
  await mkdir(join(folder, '.systemprompt'), { recursive: true });
  return new Checkout(folder);
}

beforeEach(async () => {
  test = await createTestDatabase();
  db = openDatabase(test.app, { poolSize: 2 });
  root = await mkdtemp(join(tmpdir(), 'systemprompt-sync-test-'));
  mine = await checkout('mine');
  theirs = await checkout('theirs');
});
afterEach(async () => {
  await db.close();
  await test.drop();
  await rm(root, { recursive: true, force: true });
});

/** Both have the same file in step with the database. */
async function inStep(): Promise<void> {
  await mine.write(path, server(5001));
  await mine.sync('to-db');
  await theirs.sync('to-disk');
}

/** Both have changed the same line; mine is in the database. */
async function contested(): Promise<void> {
  await inStep();
  await mine.write(path, server(5002));
  await mine.sync('to-db');
  await theirs.write(path, server(5003));
}

const kinds = ({ steps }: SyncResult): string[] =>
  steps.map(({ path: file, kind, on = '' }) => `${kind} ${on} ${file}`);

async function bodies(): Promise<string[]> {
  const rows = await listVersions(db, path, 100);
  const texts = await Promise.all(rows.map(({ version }) => versionBody(db, path, version)));
  return texts.map((body) => (body === undefined ? 'deleted' : new TextDecoder().decode(body.bytes)));
}

describe('sync of files and database', () => {
  it('carries what one side has changed, with its comments, and finds both the same after it', async () => {
    await inStep();
    expect(await theirs.read(path)).toBe(server(5001));
    expect(kinds(await mine.sync('to-db'))).toEqual([`keep  ${path}`]);
    await theirs.write(path, server(5002));
    expect(kinds(await theirs.sync('to-disk'))).toEqual([`ahead  ${path}`]);
    expect(kinds(await theirs.sync('to-db'))).toEqual([`write database ${path}`]);
    expect(kinds(await mine.sync('to-db'))).toEqual([`behind  ${path}`]);
    expect(await mine.read(path)).toBe(server(5001));
    expect(kinds(await mine.sync('to-disk'))).toEqual([`write files ${path}`]);
    expect(await mine.read(path)).toBe(server(5002));
    expect(await listVersions(db, path, 10)).toMatchObject([
      { version: 2, current: true, written_by: 'tester' },
      { version: 1, current: false },
    ]);
  });

  it('carries a deletion, and keeps what was deleted', async () => {
    await inStep();
    await mine.remove(path);
    expect(kinds(await mine.sync('to-db'))).toEqual([`delete database ${path}`]);
    expect(kinds(await theirs.sync('to-disk'))).toEqual([`delete files ${path}`]);
    await expect(theirs.read(path)).rejects.toThrow('ENOENT');
    expect(await bodies()).toEqual(['deleted', server(5001)]);
    expect(kinds(await mine.sync('to-disk'))).toEqual([]);
  });

  it('touches nothing while both sides have changed and nobody decides, and shows both', async () => {
    await contested();
    for (const direction of ['to-db', 'to-disk'] as const) {
      const { steps, done } = await theirs.sync(direction);
      expect(done).toBe(false);
      expect(steps).toMatchObject([{ kind: 'conflict' }]);
      expect(steps[0]?.difference).toEqual(['@ line 5', '-     port: 5002', '+     port: 5003']);
    }
    expect(await theirs.read(path)).toBe(server(5003));
    expect((await bodies()).length).toBe(2);
  });

  it('lets the files win, and keeps what the database had', async () => {
    await contested();
    expect((await theirs.sync('to-disk', 'ours')).done).toBe(true);
    expect(await bodies()).toEqual([server(5003), server(5002), server(5001)]);
    expect((await listVersions(db, path, 1))[0]).toMatchObject({ version: 3, current: true, origin: 'files' });
  });

  it('lets the database win, and keeps what the files had', async () => {
    await contested();
    expect((await theirs.sync('to-db', 'theirs')).done).toBe(true);
    expect(await theirs.read(path)).toBe(server(5002));
    const rows = await listVersions(db, path, 10);
    expect(rows.map(({ version, current, prevailed }) => ({ version, current, prevailed }))).toEqual([
      { version: 3, current: false, prevailed: false },
      { version: 2, current: true, prevailed: true },
      { version: 1, current: false, prevailed: true },
    ]);
    expect((await bodies())[0]).toBe(server(5003));
  });

  it('merges changes of different lines on both sides, and not those of the same', async () => {
    await contested();
    expect(await theirs.sync('to-db', 'merge')).toMatchObject({ done: false, steps: [{ kind: 'conflict' }] });
    await theirs.write(path, server(5001, '# at the end\n'));
    expect(await theirs.sync('to-db', 'merge')).toMatchObject({ done: true, steps: [{ kind: 'merge' }] });
    const both = server(5002, '# at the end\n');
    expect(await theirs.read(path)).toBe(both);
    expect(await bodies()).toEqual([both, server(5001, '# at the end\n'), server(5002), server(5001)]);
    await mine.sync('to-disk');
    expect(await mine.read(path)).toBe(both);
  });

  it('refuses as a whole what would not hold as files, with its place', async () => {
    await inStep();
    // Each holds by itself; together they have one port twice.
    await mine.write('mcp/beta.yaml', server(5001).replace('alpha', 'beta').replace('5001', '5009'));
    await mine.sync('to-db');
    await theirs.write('mcp/own.yaml', server(5009).replace('alpha', 'own'));
    await expect(theirs.sync('to-disk')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      issues: [
        { file: expect.stringMatching(/theirs\/services\/mcp\/own\.yaml$/), message: expect.stringContaining('5009') },
      ],
    });
    expect((await readdir(join(theirs.instance.root, 'services/mcp'))).sort()).toEqual(['alpha.yaml', 'own.yaml']);
    await expect(theirs.sync('to-db')).resolves.toMatchObject({ done: true });
  });

  it('refuses files that do not hold, and puts nothing into the database', async () => {
    await mine.write(path, 'mcp_servers: [');
    await expect(mine.sync('to-db')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await listVersions(db, undefined, 10)).toEqual([]);
  });

  it('takes another database for one that it knows nothing of: no file is deleted since it is not there', async () => {
    await inStep();
    const other = await createTestDatabase();
    const otherDb = openDatabase(other.app, { poolSize: 1 });
    try {
      const request = { kind: 'all', direction: 'to-disk', dryRun: false, by: 'tester' } as const;
      expect(kinds(await syncLocal(mine.instance, otherDb, request))).toEqual([`ahead  ${path}`]);
      expect(await mine.read(path)).toBe(server(5001));
    } finally {
      await otherDb.close();
      await other.drop();
    }
  });

  it('lets two at once have their turns', async () => {
    await inStep();
    await mine.write(path, server(5002));
    await theirs.write(path, server(5003));
    const results = await Promise.all([mine.sync('to-db'), theirs.sync('to-db')]);
    expect(results.filter(({ done }) => done)).toHaveLength(1);
    expect(results.filter(({ steps }) => steps[0]?.kind === 'conflict')).toHaveLength(1);
  });

  it('changes nothing when it is only asked', async () => {
    await mine.write(path, server(5001));
    expect(await mine.sync('to-db', undefined, true)).toMatchObject({ done: false, steps: [{ kind: 'write' }] });
    expect(await listVersions(db, undefined, 10)).toEqual([]);
  });

  it.each([
    '../escaped.yaml',
    'mcp/../../../escaped.yaml',
    'mcp/./a.yaml',
    'mcp//a.yaml',
    'mcp/',
    '.git/hooks/post-checkout',
    'mcp/.hidden.yaml',
    'mcp\\\\..\\\\escaped.yaml',
    'mcp/a\\u001b[2J.yaml',
  ])('writes no file that the database calls %s, and nothing beside it', async (text) => {
    const escaped = JSON.parse(`"${text}"`) as string;
    await inStep();
    await addVersion(db, {
      path: escaped,
      body: bodyOf(Buffer.from('x: 1\n')),
      origin: 'files',
      prevailed: true,
      by: 'x',
    });
    await theirs.write(path, server(5002));
    for (const [direction, strategy] of [
      ['to-disk', undefined],
      ['to-db', 'theirs'],
    ] as const) {
      await expect(theirs.sync(direction, strategy)).rejects.toMatchObject({
        code: 'PRECONDITION',
        message: expect.stringContaining("can't lie in services/"),
      });
    }
    expect(await readdir(root)).toEqual(['mine', 'theirs']);
    expect((await readdir(join(root, 'theirs'))).sort()).toEqual(['.systemprompt', 'services']);
    expect(await readdir(join(root, 'theirs/services'))).toEqual(['mcp']);
    expect(await readdir(join(root, 'theirs/services/mcp'))).toEqual(['alpha.yaml']);
  });

  it.each(['skills', 'all'] as const)('writes and deletes nothing through a link (%s)', async (kind) => {
    const file = 'skills/sk/index.md';
    await mine.write('skills/sk/config.yaml', 'id: sk\nname: S\ndescription: Skill\n');
    await mine.write(file, 'Text\n');
    await mine.sync('to-db');
    const elsewhere = join(root, 'elsewhere');
    await mkdir(join(elsewhere, 'sk'), { recursive: true });
    await mkdir(join(theirs.instance.root, 'services'), { recursive: true });
    const link = join(theirs.instance.root, 'services/skills');
    const sync = () =>
      syncLocal(theirs.instance, db, { kind, direction: 'to-disk', dryRun: false, by: 'tester' } as const);

    await symlink(elsewhere, link);
    await expect(sync()).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('a link'),
    });
    expect(await readdir(join(elsewhere, 'sk'))).toEqual([]);

    // Both are in step; then the folder is exchanged for a link, and the file is deleted on the other side.
    await rm(link);
    await sync();
    await rm(link, { recursive: true });
    for (const name of ['config.yaml', 'index.md'])
      await writeFile(join(elsewhere, 'sk', name), await mine.read(`skills/sk/${name}`));
    await symlink(elsewhere, link);
    await rm(join(mine.instance.root, 'services/skills'), { recursive: true });
    await mine.sync('to-db');
    await sync();
    expect((await readdir(join(elsewhere, 'sk'))).sort()).toEqual(['config.yaml', 'index.md']);
  });

  it('does not write over a link', async () => {
    await inStep();
    const own = join(root, 'own.yaml');
    await writeFile(own, 'mine\n');
    await mine.write('mcp/beta.yaml', server(5002).replace('alpha', 'beta'));
    await mine.sync('to-db');
    await symlink(own, join(theirs.instance.root, 'services/mcp/beta.yaml'));
    await expect(theirs.sync('to-disk')).rejects.toMatchObject({ code: 'PRECONDITION' });
    expect(await readFile(own, 'utf8')).toBe('mine\n');
  });

  it('keeps to its kind', async () => {
    await mine.write(path, server(5001));
    await mine.write('skills/sk/config.yaml', 'id: sk\nname: S\ndescription: Skill\n');
    await mine.write('skills/sk/index.md', 'Text\n');
    const request = { kind: 'skills', direction: 'to-db', dryRun: false, by: 'tester' } as const;
    const { steps } = await syncLocal(mine.instance, db, request);
    expect(steps.map(({ path: file }) => file)).toEqual(['skills/sk/config.yaml', 'skills/sk/index.md']);
  });
});
