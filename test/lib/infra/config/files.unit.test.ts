import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../../../../src/lib/infra/config/atomic-file.ts';
import { withFileLock } from '../../../../src/lib/infra/config/file-lock.ts';
import { assertOwned, assertPrivate, shellQuote } from '../../../../src/lib/infra/config/permissions.ts';
import { readSession, removeSession, saveSession } from '../../../../src/lib/infra/config/session-file.ts';
import { runFixture } from '../../../helpers/run-fixture.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

async function mode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('writeFileAtomic', () => {
  it.each([0o000, 0o022, 0o077])('gives the mode asked for under umask %o, also to what is replaced', async (mask) => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f');
    await writeFile(file, 'old', { mode: 0o666 });
    const before = process.umask(mask);
    await writeFileAtomic(file, 'new', 0o640).finally(() => process.umask(before));
    expect([await readFile(file, 'utf8'), await mode(file)]).toEqual(['new', '640']);
    expect(await readdir(folder.path)).toEqual(['f']);
  });

  it('leaves the old file and nothing else when it fails', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'f/full'), { recursive: true });
    await expect(writeFileAtomic(join(folder.path, 'f'), 'new', 0o600)).rejects.toThrow();
    await expect(writeFileAtomic(join(folder.path, 'none/f'), 'new', 0o600)).rejects.toThrow();
    expect(await readdir(folder.path)).toEqual(['f']);
  });

  it('shows readers a whole file at any time', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'f');
    const texts = ['a', 'b'].map((letter) => letter.repeat(300_000));
    await writeFileAtomic(file, texts[0] ?? '', 0o600);
    let writing = true;
    const writer = (async () => {
      for (let index = 0; index < 30; index += 1) await writeFileAtomic(file, texts[index % 2] ?? '', 0o600);
      writing = false;
    })();
    let reads = 0;
    while (writing) {
      expect(texts).toContain(await readFile(file, 'utf8'));
      reads += 1;
    }
    await writer;
    expect(reads).toBeGreaterThan(0);
  });
});

describe('readJson', () => {
  const schema = z.strictObject({ token: z.string() });

  it('gives the value, or undefined where there is no file', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'f'), '{"token":"x"}');
    expect(await readJson(join(folder.path, 'f'), schema)).toEqual({ token: 'x' });
    expect(await readJson(join(folder.path, 'none'), schema)).toBeUndefined();
  });

  it.each(['{"token":"hunter2"', '{"token":5,"hunter2":1}', '["hunter2"]', ''])(
    'refuses %s and does not quote it',
    async (text) => {
      await using folder = await temporaryFolder();
      await writeFile(join(folder.path, 'f'), text);
      const error = (await readJson(join(folder.path, 'f'), schema).catch((reason: unknown) => reason)) as Error;
      expect(error).toMatchObject({ code: 'PRECONDITION', message: expect.stringContaining('is damaged') });
      expect(`${error.stack}${JSON.stringify(error)}${error.cause}`).not.toContain('hunter2');
    },
  );
});

describe('withFileLock', () => {
  it('lets one in at a time, across processes', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'n');
    await writeFile(file, '0');
    const adders = Array.from({ length: 3 }, () => runFixture('config/add-under-lock.ts', [file, '40']));
    for (const { code, stderr } of await Promise.all(adders.map((adder) => adder.ended()))) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    expect(await readFile(file, 'utf8')).toBe('120');
    expect(await readdir(folder.path)).toEqual(['n']);
  });

  it('takes over from holders that died, many at once', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    const holder = runFixture('config/hold-lock.ts', [lock]);
    expect(await holder.line()).toBe('held');
    holder.process.kill('SIGKILL');
    await holder.ended();
    expect(await readdir(folder.path)).toEqual(['lock']);
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withFileLock(lock, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise(setImmediate);
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('waits for a living holder, then names it', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    const holder = runFixture('config/hold-lock.ts', [lock]);
    await holder.line();
    await expect(withFileLock(lock, async () => 'in', 100)).rejects.toMatchObject({
      code: 'TIMEOUT',
      data: { pid: holder.process.pid },
    });
    const waiting = withFileLock(lock, async () => 'in');
    holder.process.stdin?.end();
    expect(await waiting).toBe('in');
    await holder.ended();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes over a lock of a pid that is used again, and one that was torn', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    const { hostname } = await import('node:os');
    await writeFile(lock, JSON.stringify({ token: 't', pid: process.pid, host: hostname(), start: '1' }));
    expect(await withFileLock(lock, async () => 'in', 2000)).toBe('in');
    await writeFile(lock, '');
    expect(await withFileLock(lock, async () => 'in', 2000)).toBe('in');
  });

  it('waits for a holder on another machine, whatever its pid', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    await writeFile(lock, JSON.stringify({ token: 't', pid: 2 ** 22 + 1, host: 'elsewhere.example' }));
    await expect(withFileLock(lock, async () => 'in', 50)).rejects.toMatchObject({
      message: expect.stringContaining('elsewhere.example'),
    });
  });

  it('lets go when the work fails', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    await expect(withFileLock(lock, () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('gives up where something stands that is no lock', async () => {
    await using folder = await temporaryFolder();
    const lock = join(folder.path, 'lock');
    await symlink(join(folder.path, 'nowhere'), lock);
    await expect(withFileLock(lock, async () => 'in', 100)).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await readdir(folder.path)).toEqual(['lock']);
  });
});

describe('permissions', () => {
  it('accepts what is private and refuses what is not', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "it's");
    await writeFile(file, '');
    for (const open of [0o640, 0o604, 0o620, 0o601]) {
      await chmod(file, open);
      const stats = await stat(file);
      expect(() => assertPrivate(file, stats, 'The key')).toThrow(`is open to other users (mode ${open.toString(8)})`);
    }
    await chmod(file, 0o600);
    const stats = await stat(file);
    expect(() => assertPrivate(file, stats, 'The key')).not.toThrow();
    expect(shellQuote(file)).toBe(`'${folder.path}/it'\\''s'`);
  });

  it("refuses what is another user's, root's habits included", async () => {
    await using folder = await temporaryFolder();
    const self = process.getuid?.() ?? 0;
    // Root can give a folder away; anybody else finds one of root's.
    const path = self === 0 ? folder.path : '/';
    const owner = self === 0 ? 12_345 : 0;
    if (self === 0) await chown(path, owner, owner);
    const stats = await stat(path);
    expect(() => assertOwned(path, stats, 'The instance folder')).toThrow(
      `belongs to the user with id ${owner}, and you are ${self}`,
    );
    expect(() => assertPrivate(path, stats, 'The instance folder')).toThrow('belongs to the user');
  });
});

describe('the sign-in of the command line', () => {
  const session = {
    token: 'header.payload.signature',
    audience: 'http://localhost:8080/api/v1',
    scopes: ['admin'],
    expiresAt: '2030-01-01T00:00:00.000Z',
    userName: 'owner',
    sessionId: 'c0ffee00-0000-4000-8000-000000000000',
    issuer: 'http://localhost:8080',
  };

  it('is kept by profile, in a private file, until it is removed', async () => {
    await using folder = await temporaryFolder();
    const instance = { projectDir: folder.path };
    expect(await readSession(instance, 'local')).toBeUndefined();
    await Promise.all([
      saveSession(instance, 'local', session),
      saveSession(instance, 'prod', { ...session, userName: 'p' }),
    ]);
    expect(await mode(join(folder.path, 'sessions'))).toBe('700');
    expect(await mode(join(folder.path, 'sessions/index.json'))).toBe('600');
    expect(await readSession(instance, 'local')).toEqual(session);
    expect(await removeSession(instance, 'local')).toEqual(session);
    expect(await removeSession(instance, 'local')).toBeUndefined();
    expect(await readSession(instance, 'prod')).toMatchObject({ userName: 'p' });
    expect(await readdir(join(folder.path, 'sessions'))).toEqual(['index.json']);
  });

  it('does not quote a token when its file is damaged', async () => {
    await using folder = await temporaryFolder();
    await saveSession({ projectDir: folder.path }, 'local', session);
    const file = join(folder.path, 'sessions/index.json');
    await writeFile(file, (await readFile(file, 'utf8')).slice(0, -10));
    const error = (await readSession({ projectDir: folder.path }, 'local').catch((reason: unknown) => reason)) as Error;
    expect(error).toMatchObject({ code: 'PRECONDITION' });
    expect(`${error.stack}${JSON.stringify(error)}${error.cause}`).not.toContain('signature');
  });
});
