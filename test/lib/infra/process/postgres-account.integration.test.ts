import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { ensureAccount } from '../../../../src/lib/infra/process/postgres-account.ts';
import { copyBinaries, locatePostgres, runsInPlace } from '../../../../src/lib/infra/process/postgres-binaries.ts';
import { rootInstanceDir } from '../../../../src/lib/infra/process/postgres-place.ts';

const run = promisify(execFile);
const cycle = fileURLToPath(new URL('../../../fixtures/postgres/cycle.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;
/** `nobody` of most Linux systems: an account without a home and without rights. */
const nobody = 65_534;

describe('as an ordinary user', () => {
  test('the whole cycle works: start, migrate, use, stop, and nothing is left', async () => {
    const { stdout } = await run(process.execPath, [cycle], {
      env: { PATH: process.env.PATH ?? '', HOME: isRoot ? '/nonexistent' : process.env.HOME, TMPDIR: tmpdir() },
      ...(isRoot ? { uid: nobody, gid: nobody } : {}),
    });
    const facts = JSON.parse(stdout) as Record<string, unknown> & { root: string; pid: number };
    expect(facts).toMatchObject({
      user: 'sp_systemprompt_app',
      sockets: [],
      dataDir: join(facts.root, '.systemprompt/data/postgres'),
    });
    expect(facts.detail).toBeUndefined(); // it runs as whoever started it: nothing to be said
    expect(facts.migrations).toBeGreaterThan(0);
    if (isRoot) expect(facts.uid).toBe(nobody);
    expect(existsSync(`/proc/${facts.pid}`)).toBe(false);
    expect(existsSync(facts.root)).toBe(false);
  });
});

describe('the database of an instance that root started before', () => {
  test.runIf(isRoot)('is not begun anew by an ordinary user', async () => {
    const id = randomUUID();
    const folder = await mkdtemp(join(tmpdir(), 'sp-place-'));
    await mkdir(rootInstanceDir(id), { recursive: true });
    try {
      await chown(folder, nobody, nobody);
      const home = { id, dir: folder, dataDir: folder, runDir: folder, runtimeDir: folder };
      const module = new URL('../../../../src/lib/infra/process/postgres-place.ts', import.meta.url).href;
      const binaries = new URL('../../../../src/lib/infra/process/postgres-binaries.ts', import.meta.url).href;
      const script = `const { preparePlace } = await import('${module}'); const { locatePostgres } = await import('${binaries}');
        await preparePlace(${JSON.stringify(home)}, await locatePostgres(), undefined).then(() => console.log('begun'), (e) => console.log(e.code, e.message));`;
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
        uid: nobody,
        gid: nobody,
        cwd: folder,
      });
      expect(stdout).toMatch(/^PRECONDITION The database of this instance was made by root/);
    } finally {
      await rm(rootInstanceDir(id), { recursive: true });
      await rm(folder, { recursive: true });
    }
  });
});

describe('the account for root', () => {
  test.runIf(isRoot)('is made once, also by several at once, and is no sign-in', async () => {
    const name = 'sp-test-account';
    try {
      const made = await Promise.all([
        ensureAccount(name, '/nonexistent'),
        ensureAccount(name, '/nonexistent'),
        ensureAccount(name, '/nonexistent'),
      ]);
      expect(new Set(made.map((account) => account.uid)).size).toBe(1);
      expect(made[0]?.uid).toBeGreaterThan(0);
      expect((await run('getent', ['passwd', name])).stdout).toMatch(/nologin\n$/);
    } finally {
      await run('userdel', [name]);
    }
  });
});

describe('binaries', () => {
  let folder: string | undefined;
  afterEach(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('of a package whose links npm left out are not run in place, and a copy gets them', async () => {
    const pkg = await locatePostgres();
    folder = await mkdtemp(join(tmpdir(), 'sp-binaries-'));
    const native = join(folder, 'native');
    await cp(pkg.native, native, { recursive: true, verbatimSymlinks: true });
    for (const { link } of pkg.links) await rm(join(native, link), { force: true });
    const bare = { ...pkg, native };
    expect(await runsInPlace(bare)).toBe(false);

    const [copy, again] = await Promise.all([
      copyBinaries(bare, join(folder, 'cache')),
      copyBinaries(bare, join(folder, 'cache')),
    ]);
    expect(again).toBe(copy);
    expect((await run(join(copy, 'bin/postgres'), ['--version'])).stdout).toContain('PostgreSQL) 18.');
    expect((await stat(copy)).mode & 0o755).toBe(0o755);
    expect(existsSync(join(copy, 'lib/libpq.a'))).toBe(false);
  });
});
