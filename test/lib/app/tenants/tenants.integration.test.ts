import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { interruptedWrites } from '../../../../src/lib/app/cleanup/instance-leftovers.ts';
import { type CreateTenantRequest, createTenant } from '../../../../src/lib/app/tenants/create.ts';
import { deleteTenant, planDeletion } from '../../../../src/lib/app/tenants/delete.ts';
import { tenantOverviews } from '../../../../src/lib/app/tenants/overview.ts';
import { portBlock } from '../../../../src/lib/app/tenants/ports.ts';
import { deletionMark } from '../../../../src/lib/infra/config/active-profile.ts';
import { createLocalInstance, locateInstance, tenantInstance } from '../../../../src/lib/infra/config/instance.ts';
import { loadProfile, profileNames } from '../../../../src/lib/infra/config/profile.ts';
import { ensureRuntimeDir } from '../../../../src/lib/infra/config/runtime-dir.ts';
import { openSecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import { selectProfile } from '../../../../src/lib/infra/config/selection.ts';
import { readSession, saveSession } from '../../../../src/lib/infra/config/session-file.ts';
import { readTenants } from '../../../../src/lib/infra/config/tenants-file.ts';
import { toConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';
import { connectionFor } from '../../../../src/lib/infra/database/connections.ts';
import { quoteIdentifier, quoteLiteral } from '../../../../src/lib/infra/database/identifiers.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { recordOwner } from '../../../../src/lib/infra/process/postgres-owner.ts';
import { rootInstanceDir } from '../../../../src/lib/infra/process/postgres-place.ts';
import { createTestDatabase } from '../../../helpers/database.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const cluster = () => inject('postgres');
/** The server without a database name. */
const serverUrl = () => toConnectionUrl({ ...cluster(), database: 'postgres' });

async function project() {
  const folder = await temporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const request = (name: string, over: Partial<CreateTenantRequest> = {}): CreateTenantRequest => ({
    cwd: folder.path,
    env: {},
    name,
    portBase: undefined,
    databaseUrl: undefined,
    ...over,
  });
  return { root: folder.path, request, create: (name: string, over = {}) => createTenant(request(name, over)) };
}

async function catalog(like: string): Promise<string[]> {
  return await withSession(cluster(), {}, async (session) => {
    const rows = await session.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname LIKE $1
        UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE $1 ORDER BY 1`,
      [`%${like}%`],
    );
    return rows.map(({ name }) => name);
  });
}

async function entersAs(tenant: { dir: string; runDir: string }, url: string, database: string): Promise<string> {
  const secrets = await openSecretStore(tenant);
  const own = await connectionFor(tenant, { database: { url } }, secrets, 'app');
  return await withSession({ ...own, database }, {}, async () => 'entered').catch((error: Error) => error.message);
}

describe('createTenant', () => {
  it('makes the project with `local` in an empty folder, says so the second time, and leaves it as it is', async () => {
    const { create, root } = await project();
    const first = await create('local');
    expect(first).toMatchObject({ created: true, projectCreated: true, instance: { tenant: 'local', root } });
    const second = await create('local');
    expect(second).toMatchObject({ created: false, projectCreated: false, instance: { id: first.instance.id } });
    await expect(create('local', { portBase: 21_000 })).rejects.toMatchObject({
      code: 'CONFLICT',
      next: ['cloud tenant show local'],
    });
  });

  it('gives each its own id, key, secrets, folders and ports, and a profile of its name', async () => {
    const { create, root } = await project();
    const made = await Promise.all(['one', 'two', 'three'].map((name) => create(name)));
    const project_ = made[0]?.instance;
    if (project_ === undefined) throw new Error('not made');
    expect(new Set(made.map(({ instance }) => instance.id)).size).toBe(3);
    const keys = await Promise.all(made.map(({ instance }) => readFile(join(instance.dir, 'master.key'), 'utf8')));
    expect(new Set(keys).size).toBe(3);
    expect(new Set(made.map(({ instance }) => instance.controlSocket)).size).toBe(3);
    for (const { instance } of made) {
      for (const name of ['master.key', 'secrets.json', 'instance.json', 'tenant.json'])
        expect((await stat(join(instance.dir, name))).mode & 0o777, name).toBe(0o600);
      for (const name of ['.', 'run', 'logs', 'data'])
        expect((await stat(join(instance.dir, name))).mode & 0o777).toBe(0o700);
      expect((await locateInstance(root, {}, instance.tenant))?.id).toBe(instance.id);
    }
    const profiles = await Promise.all(['local', 'one', 'two', 'three'].map((name) => loadProfile(project_, name, {})));
    const ranges = profiles.flatMap(({ server, ports }) => [
      [server.port, server.port] as const,
      ports.mcp,
      ports.agents,
    ]);
    ranges.sort((a, b) => a[0] - b[0]);
    for (const [index, range] of ranges.entries()) expect(range[0]).toBeGreaterThan(ranges[index - 1]?.[1] ?? 0);
    expect((await readTenants(project_)).map(({ id }) => id)).toEqual(['local', 'one', 'three', 'two']);
    const overviews = await tenantOverviews(project_, { cwd: root, env: {}, profile: 'two' });
    expect(overviews.map(({ name, active, state }) => [name, active, state])).toEqual([
      ['local', false, 'stopped'],
      ['one', false, 'stopped'],
      ['three', false, 'stopped'],
      ['two', true, 'stopped'],
    ]);
  });

  it('takes ports that nobody has: not those of other tenants, not those that somebody listens on', async () => {
    const { create } = await project();
    const base = 24_000;
    const server = createServer();
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(base + 150, '127.0.0.1', resolve));
    await expect(create('a', { portBase: base })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      data: { port: base + 150 },
    });
    await expect(create('a', { portBase: 65_500 })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(create('a', { portBase: 4_900 })).rejects.toThrow(
      /overlap 5000 to 5999, which the profile `local` has/,
    );
    expect((await create('a', { portBase: 24_400 })).record.ports).toEqual(portBlock(24_400));
    await expect(create('b', { portBase: 24_599 })).rejects.toThrow(/overlap 24500 to 24599, which the tenant `a` has/);
    expect((await create('b', { portBase: 24_600 })).record.ports).toEqual(portBlock(24_600));
  });

  it.each(['', 'A', '../x', '.new-1', 'a'.repeat(51), 'a_b'])('refuses the name %j', async (name) => {
    const { create, root } = await project();
    await expect(create(name)).rejects.toMatchObject({ code: 'USAGE' });
    expect(await readdir(root)).toEqual([]);
  });

  it('keeps a profile that waits for the tenant, and refuses the name of another tenant’s', async () => {
    const { create, root } = await project();
    const { instance } = await create('local');
    for (const [name, tenant] of [
      ['waiting', 'waiting'],
      ['foreign', 'local'],
    ]) {
      await mkdir(join(instance.dir, `profiles/${name}`), { mode: 0o700 });
      await writeFile(join(instance.dir, `profiles/${name}/profile.yaml`), `tenant: ${tenant}\n`);
    }
    await expect(locateInstance(root, {}, 'waiting')).rejects.toMatchObject({
      next: ['cloud tenant create waiting --type local', 'cloud tenant list'],
    });
    expect(await create('waiting')).toMatchObject({ created: true, profileCreated: false });
    expect((await locateInstance(root, {}, 'waiting'))?.tenant).toBe('waiting');
    await expect(create('foreign')).rejects.toMatchObject({ code: 'CONFLICT', data: { tenant: 'local' } });
    expect(existsSync(join(instance.dir, 'tenants/foreign'))).toBe(false);
  });
});

describe('a tenant on a server of the user’s own', () => {
  it('has a database of its own, which no role of another tenant can enter; deleting takes all of it away', async () => {
    const { create } = await project();
    const [a, b] = [
      await create('tena', { databaseUrl: serverUrl() }),
      await create('tenb', { databaseUrl: serverUrl() }),
    ];
    const names = [a.record.database?.name ?? '', b.record.database?.name ?? ''];
    expect(names[0]).toMatch(/^systemprompt_tena_[0-9a-f]{6}$/);
    const urls = await Promise.all(
      [a, b].map(async ({ instance }) => (await openSecretStore(instance)).require('database.url')),
    );
    expect(await entersAs(a.instance, urls[0] ?? '', names[0] ?? '')).toBe('entered');
    expect(await entersAs(b.instance, urls[1] ?? '', names[1] ?? '')).toBe('entered');
    expect(await entersAs(a.instance, urls[0] ?? '', names[1] ?? '')).toMatch(/may not connect/);
    expect(await entersAs(b.instance, urls[1] ?? '', names[0] ?? '')).toMatch(/may not connect/);

    // The password is in the encrypted store alone.
    const { password } = cluster();
    for (const file of await readdir(a.instance.projectDir, { recursive: true, withFileTypes: true })) {
      if (file.isFile())
        expect(await readFile(join(file.parentPath, file.name), 'utf8'), file.name).not.toContain(password);
    }
    expect((await loadProfile(a.instance, 'tena', {})).database.url).toBe('${secret:database.url}');

    const done = await deleteTenant(a.instance, 'tena', {});
    expect(done).toEqual({ profiles: ['tena'], ended: [], droppedDatabase: names[0] });
    expect(await catalog('tena')).toEqual([]);
    expect(await entersAs(b.instance, urls[1] ?? '', names[1] ?? '')).toBe('entered');
    await deleteTenant(b.instance, 'tenb', {});
    expect(await catalog('tenb')).toEqual([]);
    expect((await readTenants(b.instance)).map(({ id }) => id)).toEqual(['local']);
    expect(await readdir(join(b.instance.projectDir, 'tenants'))).toEqual([]);
  });

  it('does not share a database with anybody, and one that was there before stays when it is deleted', async () => {
    const { create } = await project();
    const used = await createTestDatabase({ migrated: false });
    onTestFinished(() => used.drop());
    await expect(create('x', { databaseUrl: toConnectionUrl({ ...cluster(), database: used.name }) })).rejects.toThrow(
      /Another installation has the database/,
    );
    const name = `own_${used.name}`;
    await withSession(cluster(), {}, (session) => session.query(`CREATE DATABASE ${quoteIdentifier(name)}`));
    onTestFinished(async () => {
      await withSession(cluster(), {}, async (session) => {
        await session.query(`DROP DATABASE ${quoteIdentifier(name)} WITH (FORCE)`);
        for (const role of await catalog(name)) await session.query(`DROP ROLE ${quoteIdentifier(role)}`);
      });
    });
    const url = toConnectionUrl({ ...cluster(), database: name });
    const { record, instance } = await create('x', { databaseUrl: url });
    expect(record.database).toMatchObject({ name, created: false });
    await expect(create('y', { databaseUrl: url })).rejects.toThrow(/The tenant `x` has the database/);
    expect((await deleteTenant(instance, 'x', {})).droppedDatabase).toBeUndefined();
    expect(await catalog(name)).toContain(name);
  });

  it('is made whole or not at all: a role without the right leaves nothing', async () => {
    const { create, root } = await project();
    const role = `weak_${process.pid}`;
    await withSession(cluster(), {}, (session) =>
      session.query(`CREATE ROLE ${role} LOGIN PASSWORD ${quoteLiteral('w')}`),
    );
    onTestFinished(() =>
      withSession(cluster(), {}, async (session) => void (await session.query(`DROP ROLE ${role}`))),
    );
    const databaseUrl = toConnectionUrl({ ...cluster(), user: role, password: 'w', database: 'postgres' });
    await expect(create('weak', { databaseUrl })).rejects.toMatchObject({ code: 'PRECONDITION' });
    await expect(create('local', { databaseUrl })).rejects.toMatchObject({ code: 'CONFLICT' });
    const { projectDir } = await createLocalInstance(root, {});
    expect(await readdir(join(projectDir, 'tenants'))).toEqual([]);
    expect(await readdir(join(projectDir, 'profiles'))).toEqual(['local']);
    expect(await catalog('_weak_')).toEqual([]);
    const away = { databaseUrl: 'postgres://nobody@127.0.0.1:1/' };
    await expect(create('weak', away)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  });

  it('leaves nothing when its maker was killed: the next one takes away the folder and the database', async () => {
    const { create } = await project();
    const { instance, record } = await create('killed', { databaseUrl: serverUrl() });
    // As it is in the moment before the last step: everything is there, and it lies beside its place.
    const tenants = join(instance.projectDir, 'tenants');
    await rename(instance.dir, join(tenants, '.new-4194303-00000000-0000-4000-8000-000000000000'));
    expect(await catalog('_killed_')).toContain(record.database?.name);
    expect((await readTenants(instance)).map(({ id }) => id)).toEqual(['local']);
    await create('next');
    expect(await readdir(tenants)).toEqual(['next']);
    expect(await catalog('_killed_')).toEqual([]);
  });
});

describe('what a killed maker left behind', () => {
  it('stays, and is told of, while its database can’t be dropped: the keys to that are in it', async () => {
    const { create, root } = await project();
    const { instance, record } = await create('away', { databaseUrl: serverUrl() });
    const secrets = await openSecretStore(instance);
    const url = await secrets.require('database.url');
    await secrets.setMany(new Map([['database.url', 'postgres://nobody@127.0.0.1:1/gone']]));
    const draft = join(instance.projectDir, 'tenants/.new-4194303-00000000-0000-4000-8000-000000000000');
    await rename(instance.dir, draft);
    const { kept, instance: next } = await create('next');
    expect(kept).toHaveLength(1);
    expect(kept[0]).toContain(draft);
    expect(kept[0]).toContain(record.database?.name);
    expect(kept[0]).toContain('127.0.0.1:1');
    expect(existsSync(join(draft, 'secrets.json'))).toBe(true);
    const [item] = interruptedWrites(next, Date.now() + 120_000).filter(({ what }) => what === draft);
    await expect(item?.remove()).rejects.toMatchObject({ code: 'PRECONDITION', next: ['infra services cleanup'] });

    // The server is back.
    await (await openSecretStore({ dir: draft })).setMany(new Map([['database.url', url]]));
    await item?.remove();
    expect(existsSync(draft)).toBe(false);
    expect(await catalog('_away_')).toEqual([]);
    expect((await create('next')).kept).toEqual([]);
    expect(await readdir(root)).toEqual(['.systemprompt']);
  });

  it('of a project takes its database along, and stays while that can’t be done', async () => {
    const { create, root } = await project();
    const { instance, record } = await create('local', { databaseUrl: serverUrl() });
    const name = record.database?.name ?? '';
    const secrets = await openSecretStore(instance);
    const url = await secrets.require('database.url');
    await secrets.setMany(new Map([['database.url', 'postgres://nobody@127.0.0.1:1/gone']]));
    const draft = join(root, '.systemprompt.new-4194303-00000000-0000-4000-8000-000000000000');
    await rename(instance.dir, draft);
    expect((await create('local')).kept.join()).toContain(name);
    await (await openSecretStore({ dir: draft })).setMany(new Map([['database.url', url]]));
    await rm(instance.projectDir, { recursive: true });
    expect((await create('local')).kept).toEqual([]);
    expect(await catalog(name)).toEqual([]);
    expect(await readdir(root)).toEqual(['.systemprompt']);
  });
});

describe('deleteTenant', () => {
  it('leaves alone the roles of a database whose name begins as if it were a server of this one', async () => {
    const { create } = await project();
    const name = `sp${process.pid}`;
    const at = (database: string) => ({ databaseUrl: toConnectionUrl({ ...cluster(), database }) });
    const one = await create('one', at(name));
    const two = await create('two', at(`${name}_mcp_two`));
    expect((await deleteTenant(one.instance, 'one', {})).droppedDatabase).toBe(name);
    const url = await (await openSecretStore(two.instance)).require('database.url');
    expect(await entersAs(two.instance, url, `${name}_mcp_two`)).toBe('entered');
    await deleteTenant(two.instance, 'two', {});
    expect(await catalog(name)).toEqual([]);
  });

  it('marks first: what was interrupted starts nothing any more, and the next deletion finishes it', async () => {
    const { create, root } = await project();
    const { instance } = await create('half');
    await selectProfile(instance, 'half');
    await saveSession(instance, 'half', {
      token: 't',
      audience: 'a',
      scopes: [],
      expiresAt: '2099-01-01T00:00:00.000Z',
      userName: 'owner',
      sessionId: 's',
      issuer: 'i',
    });
    await writeFile(join(instance.dir, deletionMark), '{}');
    await expect(locateInstance(root, {})).rejects.toMatchObject({ next: ['cloud tenant delete half --yes'] });
    await expect(create('half')).rejects.toMatchObject({
      code: 'PRECONDITION',
      next: ['cloud tenant delete half --yes'],
    });
    const overview = (await tenantOverviews(instance, { cwd: root, env: {} })).find(({ name }) => name === 'half');
    expect(overview?.state).toBe('deleting');
    await deleteTenant(instance, 'half', {});
    expect(await readSession(instance, 'half')).toBeUndefined();
    expect(await profileNames(instance)).toEqual(['local']);
    expect(existsSync(instance.runtimeDir)).toBe(false);
    expect((await locateInstance(root, {}))?.tenant).toBe('local');
    expect((await create('half')).instance.id).not.toBe(instance.id);
  });

  it('of `local` takes the project along, and is refused beside others', async () => {
    const { create, root } = await project();
    const { instance } = await create('other');
    await expect(planDeletion(instance, 'local', {})).rejects.toMatchObject({
      code: 'CONFLICT',
      data: { tenants: ['other'] },
    });
    await expect(planDeletion(instance, 'othr', {})).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean other?',
    });
    await deleteTenant(instance, 'other', {});
    await deleteTenant(instance, 'local', {});
    expect(await readdir(root)).toEqual([]);
  });

  it('of a project that is a copy touches nothing of the first: not what runs, not the data that root keeps elsewhere', async () => {
    const { create } = await project();
    const { instance } = await create('local');
    const second = await temporaryFolder();
    onTestFinished(() => second[Symbol.asyncDispose]());
    await cp(instance.projectDir, join(second.path, '.systemprompt'), { recursive: true });
    const copy = await createLocalInstance(second.path, {});
    expect(copy.id).toBe(instance.id);

    const runtimeDir = await ensureRuntimeDir(instance);
    onTestFinished(() => rm(runtimeDir, { recursive: true, force: true }));
    const asked: string[] = [];
    const supervisor = createHttpServer(({ method, url }, response) => {
      asked.push(`${method} ${url}`);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ root: instance.root }));
    });
    await new Promise<void>((done) => supervisor.listen(instance.controlSocket, done));
    await expect(deleteTenant(copy, 'local', {})).rejects.toMatchObject({
      code: 'CONFLICT',
      data: { other: instance.root },
    });
    expect(asked.filter((line) => !line.startsWith('GET'))).toEqual([]);
    await new Promise<unknown>((done) => supervisor.close(done));

    if (process.getuid?.() === 0) {
      const kept = rootInstanceDir(instance.id);
      onTestFinished(() => rm(kept, { recursive: true, force: true }));
      await mkdir(kept, { recursive: true });
      await recordOwner(kept, instance);
      await expect(deleteTenant(copy, 'local', {})).rejects.toMatchObject({
        code: 'CONFLICT',
        data: { other: instance.dir },
      });
      expect(existsSync(kept)).toBe(true);
    }
    expect(existsSync(copy.dir)).toBe(true);
    // The first one may go, with what is its own.
    await deleteTenant(instance, 'local', {});
    expect(existsSync(rootInstanceDir(instance.id))).toBe(false);
  });

  it.each(['a copy', 'a link'])('does nothing to a tenant by way of %s of its folder', async (what) => {
    const { create, root } = await project();
    const { instance, record } = await create('origin', { databaseUrl: serverUrl() });
    const twin = join(instance.projectDir, 'tenants/twin');
    if (what === 'a copy') await cp(instance.dir, twin, { recursive: true });
    else await symlink(instance.dir, twin);
    await mkdir(join(instance.projectDir, 'profiles/twin'));
    await writeFile(join(instance.projectDir, 'profiles/twin/profile.yaml'), 'tenant: twin\n', { mode: 0o600 });

    expect((await readTenants(instance)).map(({ id }) => id)).toEqual(['local', 'origin']);
    await expect(deleteTenant(instance, 'twin', {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(locateInstance(root, {}, 'twin')).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('another tenant'),
    });
    await expect(create('twin')).rejects.toMatchObject({ code: 'PRECONDITION' });
    expect(await catalog('_origin_')).toContain(record.database?.name);
    expect((await tenantInstance(instance, 'origin', {}))?.id).toBe(instance.id);
    await deleteTenant(instance, 'origin', {});
    expect(await catalog('_origin_')).toEqual([]);
  });

  it('lists a tenant whose maker was killed before it was listed, and none whose folder is gone', async () => {
    const { create } = await project();
    const { instance } = await create('first');
    const list = join(instance.projectDir, 'tenants.json');
    const before = await readFile(list, 'utf8');
    const second = await create('second');
    await writeFile(list, before);
    expect((await readTenants(instance)).find(({ id }) => id === 'second')?.ports).toEqual(second.record.ports);
    await cp(instance.dir, `${instance.dir}-copy`, { recursive: true });
    await rename(instance.dir, join(instance.root, 'elsewhere'));
    expect((await readTenants(instance)).map(({ id }) => id)).not.toContain('first');
    await expect(tenantInstance(instance, 'first', {})).resolves.toBeUndefined();
  });
});
