import { chmod, cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../../../src/lib/infra/config/instance.ts';
import { openSecretStore, resolveSecretReference, type SecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import { runFixture } from '../../../helpers/run-fixture.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../helpers/temporary-folder.ts';

const canary = 'canary-5f1d-hunter2';

let folder: TemporaryFolder;
let instance: Instance;
let store: SecretStore;

beforeAll(async () => {
  folder = await temporaryFolder();
  instance = await createLocalInstance(folder.path, {});
  store = await openSecretStore(instance);
  return () => folder[Symbol.asyncDispose]();
});

/** A copy of the instance's folder, for a test to damage. */
async function damagedCopy(damage: (dir: string) => Promise<void>): Promise<TemporaryFolder> {
  const copy = await temporaryFolder();
  await cp(instance.dir, copy.path, { recursive: true });
  await damage(copy.path);
  return copy;
}

async function failure(work: Promise<unknown>): Promise<Error & { code?: string; hint?: string }> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error) => error,
  );
}

/** Everything that an error could carry into a log, causes included. */
function allOf(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  return [error.stack, JSON.stringify({ ...error }), error.cause === undefined ? '' : allOf(error.cause)].join('\n');
}

interface Stored {
  readonly current: number;
  readonly versions: readonly { readonly number: number; readonly created_at: string; readonly jwe: string }[];
}

function secretsFile(dir: string): Promise<{ version: number; key: string; secrets: Record<string, Stored> }> {
  return readFile(join(dir, 'secrets.json'), 'utf8').then((text) => JSON.parse(text) as never);
}

/** The current envelope of a secret. */
async function envelope(dir: string, name: string): Promise<string> {
  const found = (await secretsFile(dir)).secrets[name];
  return found?.versions.find(({ number }) => number === found.current)?.jwe ?? '';
}

describe('the secret store', () => {
  it('gives back any text', { timeout: 30_000 }, async () => {
    const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), fc.constantFrom('', '\u0000', '😀'));
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        fc.pre(text.isWellFormed());
        await store.set('any', text);
        expect(await (await openSecretStore(instance)).get('any')).toBe(text);
      }),
      { numRuns: 30 },
    );
  });

  it('opens any bytes that it sealed, and seals the same bytes differently each time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        const [one, two] = [await store.seal(bytes), await store.seal(bytes)];
        expect(one).not.toBe(two);
        expect(await store.open(one)).toEqual(bytes);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps each value as a JWE in its own envelope, in a private file', async () => {
    await store.set('jwe', canary);
    const jwe = await envelope(instance.dir, 'jwe');
    const header = JSON.parse(Buffer.from(jwe.split('.')[0] ?? '', 'base64url').toString()) as object;
    expect(header).toMatchObject({ alg: 'A256GCMKW', enc: 'A256GCM', kid: expect.any(String), sub: 'secret:jwe:1' });
    expect((await stat(join(instance.dir, 'secrets.json'))).mode & 0o777).toBe(0o600);
  });

  it('writes no value in plain anywhere', async () => {
    await store.set('canary', canary);
    await store.set('canary', `${canary} again`);
    const forms = [canary, Buffer.from(canary).toString('base64url').slice(0, -2), Buffer.from(canary).toString('hex')];
    for (const name of await readdir(folder.path, { recursive: true })) {
      const path = join(folder.path, name);
      if (!(await stat(path)).isFile()) continue;
      const content = await readFile(path, 'latin1');
      for (const form of forms) expect(content, name).not.toContain(form);
    }
  });

  it('knows what is not set from what is', async () => {
    expect(await store.get('nothing')).toBeUndefined();
    expect(await store.get('constructor')).toBeUndefined();
    await expect(store.require('nothing')).rejects.toMatchObject({ code: 'PRECONDITION', data: { secret: 'nothing' } });
    await store.set('constructor', 'x');
    expect(await store.get('constructor')).toBe('x');
  });

  it.each(['', '__proto__', '.a', 'a b', 'a/b', 'ä', 'a\n', 'a'.repeat(129)])('refuses the name %j', async (name) => {
    await expect(store.set(name, 'x')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('refuses a value beyond 64 KiB without quoting it', async () => {
    const error = await failure(store.set('large', canary.repeat(5000)));
    expect(error.code).toBe('USAGE');
    expect(allOf(error)).not.toContain('hunter2');
  });

  it('loses nothing when two processes and this one write at once', async () => {
    const count = 15;
    const writers = ['p', 'q'].map((prefix) => runFixture('config/set-secrets.ts', [instance.dir, prefix, `${count}`]));
    await Promise.all(writers.map((writer) => writer.line()));
    for (const writer of writers) writer.process.stdin?.write('go');
    await Promise.all(Array.from({ length: count }, (_, index) => store.set(`r.${index}`, `value of r.${index}`)));
    for (const { code, stderr } of await Promise.all(writers.map((writer) => writer.ended()))) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    const expected = ['p', 'q', 'r'].flatMap((prefix) =>
      Array.from({ length: count }, (_, index) => `${prefix}.${index}`),
    );
    for (const name of expected) expect(await store.get(name)).toBe(`value of ${name}`);
    expect(
      (await readdir(instance.dir)).filter((name) => name.startsWith('secrets.json') || name.endsWith('.tmp')),
    ).toEqual(['secrets.json']);
  });

  it('resolves references and leaves other values as they are', async () => {
    await store.set('database.url', 'postgres://u:p@h/d');
    expect(await resolveSecretReference('${secret:database.url}', store)).toBe('postgres://u:p@h/d');
    expect(await resolveSecretReference('postgres://h/d', store)).toBe('postgres://h/d');
    await expect(resolveSecretReference('${secret:other}', store)).rejects.toMatchObject({ data: { secret: 'other' } });
  });
});

describe('versions', () => {
  it('keeps the last five, and each is bound to its number', async () => {
    await using copy = await damagedCopy(async () => {});
    const own = await openSecretStore({ dir: copy.path });
    for (let number = 1; number <= 7; number += 1) {
      const [change] = await own.setMany(new Map([['v', `value ${number}`]]), { by: 'ann' });
      expect(change).toEqual({ name: 'v', version: number, outcome: number === 1 ? 'created' : 'updated' });
    }
    expect(await own.get('v')).toBe('value 7');
    expect(await own.version('v', 3)).toEqual({ value: 'value 3', number: 3 });
    expect(await own.version('v', 2)).toBeUndefined();
    const info = (await own.describe()).find(({ name }) => name === 'v');
    expect(info?.versions.map(({ number, by }) => [number, by])).toEqual([3, 4, 5, 6, 7].map((n) => [n, 'ann']));
    const file = await secretsFile(copy.path);
    const versions = (file.secrets['v'] as Stored).versions.map((entry) => ({ ...entry, jwe: entry.jwe }));
    const [old, last] = [versions[0], versions[4]];
    if (old === undefined || last === undefined) throw new Error('no versions');
    last.jwe = old.jwe; // somebody brings an old value back
    await writeFile(
      secrets(copy.path),
      JSON.stringify({ ...file, secrets: { ...file.secrets, v: { current: 7, versions } } }),
    );
    await expect(own.get('v')).rejects.toMatchObject({ message: expect.stringContaining('is damaged') });
  });

  it('the same value again is no new version; a dry run changes nothing; all or none are set', async () => {
    await using copy = await damagedCopy(async () => {});
    const own = await openSecretStore({ dir: copy.path });
    await own.set('same', 'x');
    expect(await own.setMany(new Map([['same', 'x']]))).toEqual([{ name: 'same', version: 1, outcome: 'unchanged' }]);
    const before = await readFile(secrets(copy.path), 'utf8');
    const wanted = new Map([
      ['same', 'y'],
      ['new', 'z'],
    ]);
    expect(await own.setMany(wanted, { dryRun: true })).toEqual([
      { name: 'same', version: 2, outcome: 'updated' },
      { name: 'new', version: 1, outcome: 'created' },
    ]);
    await expect(
      own.setMany(
        new Map([
          ['good', 'y'],
          ['not good', 'z'],
        ]),
      ),
    ).rejects.toMatchObject({ code: 'USAGE' });
    expect(await readFile(secrets(copy.path), 'utf8')).toBe(before);
  });

  it('erases a secret with all its versions', async () => {
    await using copy = await damagedCopy(async () => {});
    const own = await openSecretStore({ dir: copy.path });
    await own.set('gone', 'x');
    expect(await own.remove(['gone', 'never'])).toEqual(['gone']);
    expect(await own.get('gone')).toBeUndefined();
    expect(await readFile(secrets(copy.path), 'utf8')).not.toContain('gone');
  });
});

describe('a file of the first format', () => {
  const first = new URL('../../../fixtures/config/secrets-format-1/', import.meta.url);

  it('is read as it is, and brought to the second whole at the first write', async () => {
    await using copy = await temporaryFolder();
    await cp(first, copy.path, { recursive: true });
    await chmod(key(copy.path), 0o600);
    const old = await openSecretStore({ dir: copy.path });
    expect(await old.get('greeting')).toBe('hello of format 1');
    expect((await secretsFile(copy.path)).version).toBe(1);
    const sealedBefore = await readFile(join(copy.path, 'sealed.txt'), 'utf8');
    await old.set('second', 'x');
    const file = await secretsFile(copy.path);
    expect(file).toMatchObject({ version: 2, key: expect.any(String) });
    expect(file.secrets['greeting']?.versions).toMatchObject([{ number: 1, jwe: expect.any(String) }]);
    const again = await openSecretStore({ dir: copy.path });
    expect(await again.get('greeting')).toBe('hello of format 1');
    expect(new TextDecoder().decode(await again.open(sealedBefore.trim()))).toBe('sealed of format 1');
  });

  it('what of it is damaged hinders no other secret', async () => {
    await using copy = await temporaryFolder();
    await cp(first, copy.path, { recursive: true });
    await chmod(key(copy.path), 0o600);
    const text = await readFile(secrets(copy.path), 'utf8');
    await writeFile(secrets(copy.path), text.replace('"secrets": {', `"secrets": { "broken": "a.b.c.d.e",`));
    const old = await openSecretStore({ dir: copy.path });
    await old.set('second', 'x');
    expect(await old.get('greeting')).toBe('hello of format 1');
    await expect(old.get('broken')).rejects.toMatchObject({ message: expect.stringContaining('is damaged') });
    await old.set('broken', 'mended');
    expect(await old.get('broken')).toBe('mended');
  });
});

describe('fingerprints', () => {
  it('follow from text and instance, and are no plain digest', async () => {
    expect(await store.fingerprint('x')).toBe(await (await openSecretStore(instance)).fingerprint('x'));
    expect(await store.fingerprint('x')).not.toBe(await store.fingerprint('y'));
    await using other = await temporaryFolder();
    expect(await (await openSecretStore(await createLocalInstance(other.path, {}))).fingerprint('x')).not.toBe(
      await store.fingerprint('x'),
    );
  });
});

const key = (dir: string) => join(dir, 'master.key');
const secrets = (dir: string) => join(dir, 'secrets.json');

describe('damage is reported without what the files hold', () => {
  it.each([
    ['open to the group', (dir: string) => chmod(key(dir), 0o640), /is open to other users \(mode 640\)/, /chmod 600 /],
    ['open to the world', (dir: string) => chmod(key(dir), 0o604), /is open to other users \(mode 604\)/, /chmod 600 /],
    ['missing', (dir: string) => rm(key(dir)), /is missing/, /Restore it from a backup/],
    ['empty', (dir: string) => writeFile(key(dir), ''), /is damaged/, /Restore it/],
    ['too short', (dir: string) => writeFile(key(dir), canary), /is damaged/, /Restore it/],
    ['too long', (dir: string) => writeFile(key(dir), 'A'.repeat(5000)), /is damaged/, /Restore it/],
    ['no base64url', (dir: string) => writeFile(key(dir), `${'+'.repeat(43)}`), /is damaged/, /Restore it/],
  ] as const)('a master key that is %s', async (_, damage, message, hint) => {
    await using copy = await damagedCopy(damage);
    const error = await failure(openSecretStore({ dir: copy.path }));
    expect(error).toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
    expect(allOf(error)).not.toContain('hunter2');
  });

  it.each([
    ['no JSON', (dir: string) => writeFile(secrets(dir), `{"secrets": ${canary}`), /is damaged: it is not JSON/],
    [
      'another version',
      (dir: string) => writeFile(secrets(dir), '{"version":3,"secrets":{}}'),
      /not as expected: version/,
    ],
    [
      'a plain value',
      (dir: string) => writeFile(secrets(dir), `{"version":1,"secrets":{"a":"${canary}"}}`),
      /`a` .*is damaged/,
    ],
    [
      'a value of another type',
      (dir: string) => writeFile(secrets(dir), '{"version":1,"secrets":{"a":5}}'),
      /secrets\.a/,
    ],
  ] as const)('a secrets.json with %s', async (_, damage, message) => {
    await using copy = await damagedCopy(damage);
    const damaged = await openSecretStore({ dir: copy.path });
    const error = await failure(damaged.get('a'));
    expect(error).toMatchObject({ code: 'PRECONDITION', message: expect.stringMatching(message) });
    expect(allOf(error)).not.toContain('hunter2');
  });

  it('a broken file is not overwritten by a new secret', async () => {
    await using copy = await damagedCopy((dir) => writeFile(secrets(dir), '{'));
    await expect((await openSecretStore({ dir: copy.path })).set('a', 'b')).rejects.toMatchObject({
      code: 'PRECONDITION',
    });
    expect(await readFile(secrets(copy.path), 'utf8')).toBe('{');
  });

  it('an envelope that was moved to another name, or into another store', async () => {
    await using copy = await damagedCopy(async () => {});
    const { secrets: all, key: kid } = await secretsFile(copy.path);
    const sealed = {
      current: 1,
      versions: [{ ...all['database.app']?.versions[0], jwe: await store.seal(new Uint8Array(3)) }],
    };
    const moved = { ...all, 'database.app': all['database.owner'], sealed };
    await writeFile(secrets(copy.path), JSON.stringify({ version: 2, key: kid, secrets: moved }));
    const other = await openSecretStore({ dir: copy.path });
    await expect(other.get('database.app')).rejects.toMatchObject({ message: expect.stringContaining('is damaged') });
    await expect(other.get('sealed')).rejects.toMatchObject({ message: expect.stringContaining('is damaged') });
    await expect(other.open(await envelope(copy.path, 'database.owner'))).rejects.toMatchObject({
      code: 'PRECONDITION',
    });
    expect(await other.get('database.owner')).toHaveLength(43);
  });

  it('any changed character of an envelope', async () => {
    const sealed = await store.seal(new TextEncoder().encode(canary));
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: sealed.length - 1 }),
        fc.constantFrom('A', 'z', '_', '.'),
        async (at, character) => {
          const changed = sealed.slice(0, at) + character + sealed.slice(at + 1);
          // The last character of a part may carry unused bits: what decodes to the same bytes is the same envelope.
          fc.pre(decoded(changed) !== decoded(sealed));
          const error = await failure(store.open(changed));
          expect(error.code).toBe('PRECONDITION');
          expect(allOf(error)).not.toContain('hunter2');
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a secret of another master key', async () => {
    await using other = await temporaryFolder();
    const stranger = await createLocalInstance(other.path, {});
    await cp(secrets(instance.dir), secrets(stranger.dir));
    const strange = await openSecretStore(stranger);
    const message = expect.stringContaining('was encrypted under another master key');
    await expect(strange.get('identity.root')).rejects.toMatchObject({ code: 'PRECONDITION', message });
    await expect(strange.open(await store.seal(new Uint8Array(1)))).rejects.toMatchObject({ message });
  });
});

function decoded(jwe: string): string {
  return jwe
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString('hex'))
    .join('.');
}
