import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../../../src/lib/infra/config/instance.ts';
import { KeychainSource } from '../../../../src/lib/infra/config/master-key/keychain-source.ts';
import { generateMasterKey, masterKeyText } from '../../../../src/lib/infra/config/master-key.ts';
import {
  forgetFormerKeys,
  type RotationStep,
  rotateMasterKey,
} from '../../../../src/lib/infra/config/secrets/rotation.ts';
import { openSecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import { runFixture } from '../../../helpers/run-fixture.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../helpers/temporary-folder.ts';

const canary = 'canary-71c2-hunter2';
const programs = fileURLToPath(new URL('../../../fixtures/keychain', import.meta.url));

let folder: TemporaryFolder;
let instance: Instance;
let sealed: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  instance = await createLocalInstance(folder.path, {});
  const store = await openSecretStore(instance, {});
  await store.setMany(new Map([['name', 'old']]));
  await store.setMany(new Map([['name', canary]]));
  sealed = await store.seal(new TextEncoder().encode(canary));
  return () => folder[Symbol.asyncDispose]();
});

interface Copy extends AsyncDisposable {
  readonly dir: string;
  /** Where the key chain of the programs in test/fixtures/keychain is. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
}

/** An instance of a test's own, with a key chain of its own. */
async function copyOf(): Promise<Copy> {
  const copy = await temporaryFolder();
  const [dir, home] = [join(copy.path, 'instance'), join(copy.path, 'home')];
  await mkdir(home);
  await cp(instance.dir, dir, { recursive: true });
  const env = { PATH: `${programs}:${dirname(process.execPath)}:${process.env['PATH']}`, HOME: home };
  return { dir, home, env, [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose]() };
}

/** Everything can be read, by a process that begins now, and written. */
async function expectWhole({ dir, env }: Pick<Copy, 'dir' | 'env'>): Promise<void> {
  const store = await openSecretStore({ dir }, env);
  expect(await store.get('name')).toBe(canary);
  expect(await store.version('name', 1)).toEqual({ value: 'old', number: 1 });
  expect(await store.get('identity.root')).toHaveLength(43);
  expect(new TextDecoder().decode(await store.open(sealed))).toBe(canary);
  await store.set('written', String(Math.random()));
  expect(await store.open(await store.seal(new Uint8Array([1, 2])))).toEqual(new Uint8Array([1, 2]));
}

const kidOf = async (dir: string): Promise<unknown> =>
  JSON.parse(await readFile(join(dir, 'secrets.json'), 'utf8')).key;
const steps: readonly RotationStep[] = ['recorded', 'kept', 'committed', 'settled', 'dropped', 'done'];

describe.each([
  ['file', undefined],
  ['keychain', 'keychain'],
] as const)('an exchange of the master key (file to %s) that is killed', (_, to) => {
  it.each(steps)('after the step %s leaves everything readable, and the next one leaves no other key', async (step) => {
    await using copy = await copyOf();
    const before = await openSecretStore(copy, copy.env);
    const kid = await kidOf(copy.dir);
    const args = [copy.dir, step, ...(to === undefined ? [] : [to])];
    const killed = runFixture('config/rotate-killed.ts', args, copy.env);
    const { stderr } = await killed.ended();
    expect({ stderr, signal: killed.process.signalCode }).toEqual({ stderr: '', signal: 'SIGKILL' });
    expect((await kidOf(copy.dir)) === kid).toBe(['recorded', 'kept'].includes(step));
    await expectWhole(copy);
    expect(await before.get('name')).toBe(canary); // a process that was running already

    await rotateMasterKey(copy.dir, { source: 'file' }, { env: copy.env });
    await expectWhole(copy);
    expect(await before.get('name')).toBe(canary);
    const keys = readdirSync(copy.dir).filter((name) => /^master|tmp$|lock$/.test(name));
    expect(keys).toEqual(['master.key']);
    expect(readdirSync(copy.home).filter((name) => name.startsWith('item'))).toEqual([]);
  });
});

describe('an exchange of the master key', () => {
  it('changes no fingerprint and leaves no secret under the old key; then the old key can be forgotten', async () => {
    await using copy = await copyOf();
    const store = await openSecretStore(copy, {});
    const [old, fingerprint] = [await kidOf(copy.dir), await store.fingerprint('x')];
    const rotated = await rotateMasterKey(copy.dir, undefined, { env: {} });
    expect(rotated).toEqual({
      from: { source: 'file', kid: old },
      to: { source: 'file', kid: await kidOf(copy.dir) },
      secrets: 9,
    });
    expect(await store.fingerprint('x')).toBe(fingerprint);
    await rotateMasterKey(copy.dir, undefined, { env: {} });
    expect(await store.fingerprint('x')).toBe(fingerprint);
    await expectWhole({ ...copy, env: {} });
    const text = readFileSync(join(copy.dir, 'secrets.json'), 'utf8');
    const file = JSON.parse(text) as { former_keys: { kid: string }[]; secrets: object };
    expect(file.former_keys.map(({ kid }) => kid)).toEqual([old, rotated.to.kid]);
    for (const jwe of JSON.stringify(file.secrets).matchAll(/"jwe":"([^".]+)/g)) {
      expect(JSON.parse(Buffer.from(jwe[1] ?? '', 'base64url').toString())).toMatchObject({
        kid: await kidOf(copy.dir),
      });
    }
    expect(await forgetFormerKeys(copy.dir)).toBe(2);
    const again = await openSecretStore(copy, {});
    expect(await again.get('name')).toBe(canary);
    await expect(again.open(sealed)).rejects.toMatchObject({
      message: expect.stringContaining('was encrypted under another master key'),
    });
  });

  it('waits for a writer, and a writer for it', async () => {
    await using copy = await copyOf();
    const store = await openSecretStore(copy, {});
    const writes = Array.from({ length: 10 }, (_, index) => store.set(`w.${index}`, `${index}`));
    await Promise.all([...writes, rotateMasterKey(copy.dir, undefined, { env: {} })]);
    const fresh = await openSecretStore(copy, {});
    for (let index = 0; index < 10; index += 1) expect(await fresh.get(`w.${index}`)).toBe(`${index}`);
  });
});

describe('the key chain', () => {
  it('holds the key, which is on no command line and in no file of the instance', async () => {
    await using copy = await copyOf();
    await rotateMasterKey(copy.dir, { source: 'keychain' }, { env: { ...copy.env, VAULT_TOKEN: canary } });
    await expectWhole(copy);
    expect(existsSync(join(copy.dir, 'master.key'))).toBe(false);
    const items = readdirSync(copy.home).filter((name) => name.startsWith('item'));
    expect(items).toHaveLength(1);
    const key = readFileSync(join(copy.home, items[0] ?? ''), 'utf8');
    expect(key).toMatch(/^[\w-]{43}$/);
    const calls = readFileSync(join(copy.home, 'calls.log'), 'utf8');
    expect(calls).toContain('store');
    for (const secret of [key, canary]) expect(calls).not.toContain(secret);
    for (const name of readdirSync(copy.dir, { recursive: true, withFileTypes: true })) {
      if (name.isFile()) expect(readFileSync(join(name.parentPath, name.name), 'latin1')).not.toContain(key);
    }
    await rotateMasterKey(copy.dir, undefined, { env: copy.env }); // in the key chain again
    await expectWhole(copy);
    expect(readdirSync(copy.home).filter((name) => name.startsWith('item'))).not.toEqual(items);
  });

  it('that is locked, or not there, changes nothing', async () => {
    await using copy = await copyOf();
    await writeFile(join(copy.home, 'locked'), '');
    const locked = rotateMasterKey(copy.dir, { source: 'keychain' }, { env: copy.env });
    await expect(locked).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('does not take the master key'),
    });
    const nowhere = rotateMasterKey(copy.dir, { source: 'keychain' }, { env: { PATH: copy.home } });
    await expect(nowhere).rejects.toMatchObject({ message: expect.stringContaining("secret-tool can't be run") });
    await expectWhole(copy);
    expect(readdirSync(copy.dir).filter((name) => name.startsWith('master'))).toEqual(['master.key']);
  });

  it('of macOS is spoken to with the key on standard input', async () => {
    await using copy = await copyOf();
    const source = new KeychainSource({ dir: copy.dir, env: copy.env }, 'darwin');
    const key = generateMasterKey();
    const entry = await source.prepare(key);
    await source.keep(key, entry);
    expect(await source.read(entry)).toEqual({ kid: key.kid, bytes: Buffer.from(key.bytes) });
    expect(readFileSync(join(copy.home, 'calls.log'), 'utf8')).not.toContain(masterKeyText(key));
    await source.drop(entry);
    await source.drop(entry);
    await expect(source.read(entry)).rejects.toMatchObject({ message: expect.stringContaining('has no master key') });
    await writeFile(join(copy.home, 'locked'), '');
    await expect(source.keep(key, entry)).rejects.toMatchObject({ code: 'PRECONDITION' });
  });
});

describe('the environment', () => {
  it('holds the key of an instance that is created with it, and its successor', async () => {
    await using other = await temporaryFolder();
    const [first, second] = [masterKeyText(generateMasterKey()), masterKeyText(generateMasterKey())];
    const made = await createLocalInstance(other.path, { SYSTEMPROMPT_MASTER_KEY: first });
    expect(existsSync(join(made.dir, 'master.key'))).toBe(false);
    const store = await openSecretStore(made, { SYSTEMPROMPT_MASTER_KEY: first });
    await store.set('name', canary);
    for (const env of [{}, { SYSTEMPROMPT_MASTER_KEY: second }, { SYSTEMPROMPT_MASTER_KEY: canary }]) {
      const error = await openSecretStore(made, env).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        code: 'PRECONDITION',
        message: expect.stringContaining('SYSTEMPROMPT_MASTER_KEY'),
      });
      expect(String((error as Error).stack)).not.toContain('hunter2');
    }
    const env = { SYSTEMPROMPT_MASTER_KEY: first, SYSTEMPROMPT_MASTER_KEY_NEXT: second };
    await expect(
      rotateMasterKey(made.dir, undefined, { env: { SYSTEMPROMPT_MASTER_KEY: first } }),
    ).rejects.toMatchObject({
      code: 'USAGE',
    });
    await rotateMasterKey(made.dir, undefined, { env });
    expect(await (await openSecretStore(made, { SYSTEMPROMPT_MASTER_KEY: second })).get('name')).toBe(canary);
    await rotateMasterKey(made.dir, { source: 'file' }, { env: { SYSTEMPROMPT_MASTER_KEY: second } });
    expect(await (await openSecretStore(made, {})).get('name')).toBe(canary);
    for (const path of readdirSync(made.dir, { recursive: true, withFileTypes: true })) {
      if (!path.isFile()) continue;
      const text = readFileSync(join(path.parentPath, path.name), 'latin1');
      for (const key of [first, second]) expect(text).not.toContain(key);
    }
  });
});

describe('a key management service', () => {
  it('encrypts and decrypts the key over HTTP, with a token of the environment or of a file', async () => {
    await using copy = await copyOf();
    const vault = runFixture('config/vault.ts', [canary], { PATH: process.env['PATH'] });
    try {
      const address = await vault.line();
      const place = { address, mount: 'transit', key: 'systemprompt' };
      const token = { VAULT_TOKEN: canary };
      const refused = rotateMasterKey(copy.dir, { source: 'vault', vault: place }, { env: { VAULT_TOKEN: 'wrong' } });
      await expect(refused).rejects.toMatchObject({
        code: 'PRECONDITION',
        message: expect.stringContaining('status 403'),
      });
      await expect(rotateMasterKey(copy.dir, { source: 'vault', vault: place }, { env: {} })).rejects.toMatchObject({
        message: 'There is no token for the key management service.',
      });
      await expectWhole(copy);
      await rotateMasterKey(copy.dir, { source: 'vault', vault: place }, { env: token });
      expect(existsSync(join(copy.dir, 'master.key'))).toBe(false);
      await expectWhole({ ...copy, env: token });
      expect(readFileSync(join(copy.dir, 'master-key.json'), 'utf8')).toContain('vault:v1:');
      const tokenFile = join(copy.home, 'token');
      await writeFile(tokenFile, `${canary}\n`, { mode: 0o600 });
      await rotateMasterKey(copy.dir, { source: 'vault', vault: { ...place, tokenFile } }, { env: token });
      await expectWhole({ ...copy, env: {} });
      await rotateMasterKey(copy.dir, undefined, { env: {} }); // there again
      await expectWhole({ ...copy, env: {} });
      await expect(openSecretStore({ dir: instance.dir }, {})).resolves.toBeDefined();
    } finally {
      vault.process.kill();
      await vault.ended();
    }
    const error = await openSecretStore(copy, {}).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'PRECONDITION', message: expect.stringContaining("can't be reached") });
  });
});
