import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAccess } from '../../../../src/lib/app/access/checker.ts';
import { DatabaseEntitlements, type EntitledResource } from '../../../../src/lib/app/access/entitlements.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { newId, type UserId } from '../../../../src/lib/shared/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { serverConfig } from '../router/gateway.ts';

const notes: EntitledResource = {
  name: 'notes',
  scopes: ['user', 'tools:read', 'tools:write', 'tools:admin'].map((name) => ({ name })),
  openScopes: ['tools:read'],
};
let test: TestDatabase;
let app: Database;
let owner: Database;
let entitlements: DatabaseEntitlements;

beforeAll(async () => {
  test = await createTestDatabase();
  app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
  owner = openDatabase(test.owner, { poolSize: 2 });
  entitlements = new DatabaseEntitlements(app);
});
afterAll(async () => {
  await Promise.all([app.close(), owner.close()]);
  await test.drop();
});

let count = 0;
async function user(roles: string, kind = 'person'): Promise<UserId> {
  const [row] = await app.query<{ id: UserId }>(
    'INSERT INTO users (name, display_name, roles, kind) VALUES ($1, $1, $2, $3) RETURNING id',
    [`u${++count}`, roles, kind],
  );
  if (row === undefined) throw new Error('no user');
  return row.id;
}

async function grant(by: UserId, type: string, subject: string, scope: string, server = 'notes'): Promise<string> {
  const [row] = await app.query<{ id: string }>(
    'INSERT INTO access_grants (subject_type, subject, server, scope, created_by) VALUES ($1, $2, $3, $4, $5) RETURNING id',
    [type, subject, server, scope, by],
  );
  return row?.id ?? '';
}
const revoke = (by: UserId, id: string) =>
  app.query('UPDATE access_grants SET revoked_at = now(), revoked_by = $2 WHERE id = $1', [id, by]);

const scopes = async (userId: UserId, more: { clientId?: string; agent?: string } = {}) =>
  [...(await entitlements.permittedScopes({ userId, ...more }, notes)).scopes].sort();

const tiersOfUser = ['a2a', 'anonymous', 'mcp', 'service', 'user'];

describe('entitlements', () => {
  it('are the tiers of the roles, the open scopes and what was granted; all of a server for an admin', async () => {
    const [admin, plain, machine] = [await user('{admin}'), await user('{user}'), await user('{service}', 'service')];
    expect(await scopes(admin)).toEqual(['admin', ...tiersOfUser, 'tools:admin', 'tools:read', 'tools:write'].sort());
    expect(await scopes(plain)).toEqual([...tiersOfUser, 'tools:read'].sort());
    expect(await scopes(machine)).toEqual(['a2a', 'anonymous', 'mcp', 'service', 'tools:read']);
    await grant(admin, 'user', plain, 'tools:write');
    await grant(admin, 'user', plain, 'tools:write', 'other');
    await grant(admin, 'user', plain, 'files:read'); // no scope of this server
    await grant(admin, 'role', 'service', 'tools:admin');
    expect(await scopes(plain)).toEqual([...tiersOfUser, 'tools:read', 'tools:write'].sort());
    expect(await scopes(machine)).toContain('tools:admin');
  });

  it('at a virtual server are what is open or granted at each server that asks for it, and nothing that only one gives', async () => {
    const [admin, plain] = [await user('{admin}'), await user('{user}')];
    const team: EntitledResource = {
      name: 'team',
      scopes: ['user', 'team:use', 'tools:write', 'shared'].map((name) => ({ name })),
      openScopes: ['team:use'],
      askedBy: [
        { name: 'team', scopes: ['team:use'], openScopes: ['team:use'] },
        { name: 'notes', scopes: ['user', 'tools:write', 'shared'], openScopes: ['shared'] },
        { name: 'files', scopes: ['shared'], openScopes: [] },
      ],
    };
    const named = async () =>
      [...(await entitlements.permittedScopes({ userId: plain }, team)).scopes].filter((name) => /:|shared/.test(name));
    expect(await named()).toEqual(['team:use']);
    await grant(admin, 'user', plain, 'tools:write', 'team'); // the server that asks for it is another
    await grant(admin, 'user', plain, 'shared', 'team');
    expect(await named()).toEqual(['team:use']);
    const given = await grant(admin, 'user', plain, 'tools:write');
    await grant(admin, 'user', plain, 'shared', 'files');
    expect(await named()).toEqual(['team:use', 'tools:write', 'shared']);
    await revoke(admin, given);
    expect(await named()).toEqual(['team:use', 'shared']);
  });

  it('of a client or an agent are its own, by its service account, and raise no person who uses it', async () => {
    const [admin, plain, machine] = [await user('{admin}'), await user('{user}'), await user('{mcp}', 'service')];
    await grant(admin, 'client', 'https://client.example/id', 'tools:admin');
    await grant(admin, 'agent', 'helper', 'tools:admin');
    for (const by of [{ clientId: 'https://client.example/id' }, { agent: 'helper' }]) {
      expect(await scopes(machine, by)).toContain('tools:admin');
      expect(await scopes(plain, by)).not.toContain('tools:admin');
    }
    expect(await scopes(machine)).not.toContain('tools:admin');
  });

  it('within a narrower sign-in leave out what comes with a role beyond it', async () => {
    const admin = await user('{admin,user}');
    const by = await user('{admin}');
    await grant(by, 'role', 'admin', 'tools:admin');
    await grant(by, 'role', 'user', 'tools:write');
    const permitted = await entitlements.permittedScopes({ userId: admin, within: ['user'] }, notes);
    expect([...permitted.scopes].sort()).toEqual([...tiersOfUser, 'tools:read', 'tools:write'].sort());
  });

  it('of nobody, and of who may not act, are none', async () => {
    const plain = await user('{user}');
    expect(await entitlements.permittedScopes({ userId: newId() }, notes)).toMatchObject({ active: false });
    await app.query("UPDATE users SET status = 'suspended' WHERE id = $1", [plain]);
    const permitted = await entitlements.permittedScopes({ userId: plain }, notes);
    expect(permitted).toEqual({ active: false, scopes: new Set(), accessVersion: 2 });
  });

  it('count what is taken away, and nothing else', async () => {
    const [admin, plain] = [await user('{admin}'), await user('{user,mcp}')];
    const version = async (id = plain) => (await entitlements.permittedScopes({ userId: id }, notes)).accessVersion;
    const [byUser, byRole] = [
      await grant(admin, 'user', plain, 'tools:admin'),
      await grant(admin, 'role', 'mcp', 'a:b'),
    ];
    const byClient = await grant(admin, 'client', 'cli', 'a:b');
    await app.query(
      "INSERT INTO user_sessions (user_id, client, expires_at) VALUES ($1, 'cli', now() + interval '1 hour')",
      [plain],
    );
    await app.query("UPDATE users SET roles = '{user,mcp,a2a}', display_name = 'x' WHERE id = $1", [plain]);
    expect(await version()).toBe(1);
    await revoke(admin, byUser);
    await revoke(admin, byUser);
    expect(await version()).toBe(2);
    await revoke(admin, byRole);
    expect(await version()).toBe(3);
    await revoke(admin, byClient);
    expect(await version()).toBe(4);
    await app.query("UPDATE users SET roles = '{user}' WHERE id = $1", [plain]);
    expect(await version()).toBe(5);
    await app.query("UPDATE users SET status = 'suspended' WHERE id = $1", [plain]);
    await app.query("UPDATE users SET status = 'active' WHERE id = $1", [plain]);
    expect(await version()).toBe(6);
    expect(await version(admin)).toBe(1);
    const falling = app.query('UPDATE users SET access_version = 1 WHERE id = $1', [plain]);
    await expect(falling).rejects.toThrow(/never falls/);
  });

  it('are announced when something is taken away', async () => {
    const plain = await user('{user}');
    const heard: string[] = [];
    const stop = await app.listen('auth', (payload) => heard.push(String(payload)));
    await app.query("UPDATE users SET roles = '{mcp}' WHERE id = $1", [plain]);
    await expect
      .poll(() => heard.map((text) => JSON.parse(text) as object))
      .toContainEqual({
        type: 'access',
        user: plain,
        version: 2,
      });
    await stop();
  });

  it('a grant is never a tier, and its record is not removed by the application', async () => {
    const admin = await user('{admin}');
    await expect(grant(admin, 'user', admin, 'admin')).rejects.toThrow(/access_grants_scope_check/);
    await expect(grant(admin, 'role', 'king', 'a:b')).rejects.toThrow(/violates check/);
    await expect(grant(admin, 'user', 'ada', 'a:b')).rejects.toThrow(/violates check/);
    await expect(app.query('DELETE FROM access_grants')).rejects.toThrow(/permission denied/);
    await expect(app.query("UPDATE access_grants SET scope = 'x:y'")).rejects.toThrow(/permission denied/);
  });
});

describe('the last active admin', () => {
  it('can be neither demoted nor suspended, by two at the same time either', async () => {
    await app.query("UPDATE users SET status = 'suspended' WHERE NOT 'admin' = ANY (roles)");
    const admins = await app.query<{ id: UserId }>("SELECT id FROM users WHERE 'admin' = ANY (roles) ORDER BY id");
    expect(admins.length).toBeGreaterThan(1);
    const results = await Promise.allSettled(
      admins.map(({ id }, at) =>
        app.query(
          at % 2 === 0
            ? "UPDATE users SET roles = '{user}' WHERE id = $1"
            : "UPDATE users SET status = 'suspended' WHERE id = $1",
          [id],
        ),
      ),
    );
    const left = await app.query("SELECT FROM users WHERE status = 'active' AND 'admin' = ANY (roles)");
    expect(left.length).toBe(results.filter(({ status }) => status === 'rejected').length);
    expect(left.length).toBeGreaterThan(0);
  });
});

it('of a tool of a virtual server it is told what its target asks for, as the router would decide', async () => {
  const desk = serverConfig({
    name: 'desk',
    kind: 'virtual',
    oauth: { required: true, scopes: ['user', 'shared'] },
    virtual: {
      targets: [
        { server: 'files', prefix: 'f_', tools: '*' },
        { server: 'notes', prefix: '', tools: [{ tool: 'wipe', as: 'notes_wipe' }] },
      ],
    },
  });
  const target = serverConfig({
    name: 'notes',
    oauth: { required: true, scopes: ['shared'] },
    tools: new Map([['wipe', { scopes: ['notes:wipe'], secret: new Set<string>() }]]),
  });
  const servers = [desk, target, serverConfig({ name: 'files', oauth: { required: true, scopes: ['admin'] } })];
  const ada = await user('{user}');
  const check = (tool?: string) =>
    checkAccess(
      { userId: ada, scopes: ['admin'], permission: 'admin' } as unknown as Actor,
      { user: `u${count}`, server: 'desk', tool },
      {
        database: app,
        servers,
        configuration: { tree: {}, originOf: () => undefined },
      },
    );

  await grant(ada, 'user', ada, 'shared', 'desk');
  const before = await check('notes_wipe');
  expect(before).toMatchObject({ allowed: false, reason: 'scope', target: { server: 'notes', tool: 'wipe' } });
  const name = before.user.name;
  expect(
    before.scopes.map(({ target: at, demandedBy, scope, held, remedy }) => [at, demandedBy, scope, held, remedy]),
  ).toEqual([
    [undefined, 'server', 'user', true, undefined],
    // It is granted here: what lacks is the grant at the server behind, which asks for it too.
    [undefined, 'server', 'shared', false, `admin access grant --user ${name} --server notes --scope shared`],
    ['notes', 'server', 'shared', false, `admin access grant --user ${name} --server notes --scope shared`],
    ['notes', 'tool', 'notes:wipe', false, `admin access grant --user ${name} --server notes --scope notes:wipe`],
  ]);
  await grant(ada, 'user', ada, 'shared', 'notes');
  // The virtual server lets in now; this tool of its target asks for more.
  expect(await check()).toMatchObject({ allowed: true });
  expect((await check()).scopes.filter(({ held }) => !held).map(({ target: at, scope }) => [at, scope])).toEqual([
    ['files', 'admin'],
  ]);
  expect(await check('notes_wipe')).toMatchObject({ allowed: false });
  await grant(ada, 'user', ada, 'notes:wipe', 'notes');
  expect((await check('notes_wipe')).allowed).toBe(true);
  // Of a list that nobody has seen everything may be there; what no target has is not.
  expect(await check('f_any')).toMatchObject({ allowed: false, target: { server: 'files', tool: 'any' } });
  await expect(check('wipe')).rejects.toMatchObject({ code: 'NOT_FOUND', next: ['plugins mcp show desk'] });
});
