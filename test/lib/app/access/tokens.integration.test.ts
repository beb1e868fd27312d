import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseEntitlements } from '../../../../src/lib/app/access/entitlements.ts';
import { identityAudit } from '../../../../src/lib/app/access/identity-audit.ts';
import { UserSessions } from '../../../../src/lib/app/access/sessions.ts';
import { PersonalTokenLookup } from '../../../../src/lib/app/access/token-lookup.ts';
import { PersonalTokens } from '../../../../src/lib/app/access/tokens.ts';
import { UserAdministration } from '../../../../src/lib/app/access/users.ts';
import { type ResourceServer, type ResourceServers, resourceServers } from '../../../../src/lib/app/resources.ts';
import { type User, UserService } from '../../../../src/lib/domain/users/index.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { ForbiddenError, NotFoundError, UsageError } from '../../../../src/lib/shared/errors.ts';
import type { Permission } from '../../../../src/lib/shared/permission.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { externalUrl, openTestIdentity, refusalOf, until } from '../../../helpers/identity.ts';

const resource = (name: string, scopes: readonly string[], openScopes: readonly string[] = []): ResourceServer => ({
  audience: `http://localhost:8080/${name}`,
  name,
  kind: 'mcp',
  displayName: name,
  scopes: scopes.map((scope) => ({ name: scope, description: scope, sensitive: false })),
  defaultScopes: scopes,
  openScopes,
  tokenTtlSeconds: 600,
  requireDpop: false,
  ownKey: false,
  clients: undefined,
  issuers: [],
});
const servers = [
  resource('instance', ['user', 'admin']),
  resource('notes', ['user', 'notes:read', 'notes:write'], ['notes:read']),
];
const resources: ResourceServers = {
  all: () => servers,
  byName: (name) => servers.find((one) => one.name === name),
  byAudience: (audience) => servers.find((one) => one.audience === audience),
};

let test: TestDatabase;
let app: Database;
let admin: Actor;
let tokens: PersonalTokens;
let lookup: PersonalTokenLookup;
let people: UserAdministration;

beforeAll(async () => {
  test = await createTestDatabase();
  app = openDatabase(test.app, { poolSize: 4, actor: 'system' });
  const entitlements = new DatabaseEntitlements(app);
  tokens = new PersonalTokens({ database: app, resources, entitlements, maxDays: 90 });
  lookup = new PersonalTokenLookup({ database: app, resources, entitlements });
  people = new UserAdministration(app);
  admin = actorOf(await new UserService(app).ensureOwner(), 'admin');
});
afterAll(async () => {
  await app.close();
  await test.drop();
});

const actorOf = (user: User, permission: Permission = 'user'): Actor => ({
  userId: user.id,
  userName: user.name,
  scopes: [permission],
  permission,
});
let count = 0;
const newUser = (roles: Permission[] = ['user'], kind: 'person' | 'service' = 'person') =>
  people.create(admin, { name: `u${++count}`, roles, kind });
const find = (token: string) => lookup.find(hash('sha256', token, 'buffer'));

describe('personal access tokens', () => {
  it('are shown once, kept as a hash, and good for one resource with what was asked for', async () => {
    const user = await newUser();
    const made = await tokens.create(actorOf(user), {
      userId: user.id,
      name: 'laptop',
      server: 'notes',
      ttlSeconds: 60,
    });
    expect(made.token).toMatch(/^sp_pat_[A-Za-z0-9_-]{43}$/);
    expect(made.scopes).toEqual(['user', 'notes:read']);
    expect(await find(made.token)).toMatchObject({
      id: made.id,
      userId: user.id,
      userName: user.name,
      sessionId: made.sessionId,
      audience: 'http://localhost:8080/notes',
      scopes: ['user', 'notes:read'],
      accessVersion: 1,
    });
    expect((await tokens.list(actorOf(user), user.id))[0]?.lastUsedAt).toBeInstanceOf(Date);
    expect(await find(`${made.token.slice(0, -1)}_`)).toBeUndefined();
    const rows = await app.query(
      'SELECT t.*, s.* FROM personal_access_tokens t JOIN user_sessions s ON s.id = t.session_id',
    );
    expect(JSON.stringify(rows)).not.toContain(made.token.slice(7));
    const { entries } = await identityAudit(app, admin, { user: user.name, type: 'token_created', limit: 10 });
    expect(entries).toMatchObject([{ sessionId: made.sessionId, data: { name: 'laptop', id: made.id } }]);
    expect(JSON.stringify(entries)).not.toContain(made.token.slice(7));
  });

  it('never hold more than their user may, at their making and ever after', async () => {
    const user = await newUser();
    const make = (scopes: string[], server = 'notes') =>
      tokens.create(actorOf(user), { userId: user.id, name: 't', server, scopes });
    for (const scopes of [['admin'], ['notes:write'], ['user', 'notes:write'], ['made:up']]) {
      await expect(make(scopes), scopes.join()).rejects.toThrow(ForbiddenError);
    }
    await expect(make([])).rejects.toThrow(UsageError);
    await app.query(
      "INSERT INTO access_grants (subject_type, subject, server, scope, created_by) VALUES ('user', $1, 'notes', 'notes:write', $2)",
      [user.id, admin.userId],
    );
    const { token } = await make(['user', 'notes:write']);
    expect((await find(token))?.scopes).toEqual(['user', 'notes:write']);
    await app.query('UPDATE access_grants SET revoked_at = now(), revoked_by = $1', [admin.userId]);
    expect(await find(token)).toMatchObject({ scopes: ['user'], accessVersion: 2 });
    await people.changeRoles(admin, user.id, { add: ['mcp'], remove: ['user'] });
    expect((await find(token))?.scopes ?? []).toEqual([]);
  });

  it('are not a way up for who works with less than their own rights', async () => {
    const user = await newUser(['admin']);
    const narrowed = actorOf(user, 'user');
    const make = (scopes: string[], server = 'instance') =>
      tokens.create(narrowed, { userId: user.id, name: 't', server, scopes });
    await expect(make(['admin'])).rejects.toThrow(ForbiddenError);
    await expect(make(['notes:write'], 'notes')).rejects.toThrow(ForbiddenError);
    expect((await make(['user'])).scopes).toEqual(['user']);
    expect(
      (await tokens.create(actorOf(user, 'admin'), { userId: user.id, name: 't', scopes: ['admin'] })).scopes,
    ).toEqual(['admin']);
  });

  it('end by time, by hand, with their session, with their user, and with their resource', async () => {
    const user = await newUser();
    const actor = actorOf(user);
    const make = async (name: string) => tokens.create(actor, { userId: user.id, name });
    const [byHand, bySession, byTime, byUser] = [await make('a'), await make('b'), await make('c'), await make('d')];
    expect((await tokens.revoke(actor, byHand.id)).state).toBe('revoked');
    expect((await tokens.revoke(actor, byHand.id)).state).toBe('revoked');
    expect(await find(byHand.token)).toBeUndefined();
    await new UserSessions(app).end(actor, user.id, bySession.sessionId);
    expect(await find(bySession.token)).toBeUndefined();
    const owner = openDatabase(test.owner, { poolSize: 1 });
    await owner.query(
      "UPDATE personal_access_tokens SET created_at = now() - interval '2 s', expires_at = now() - interval '1 s' WHERE id = $1",
      [byTime.id],
    );
    await owner.close();
    expect(await find(byTime.token)).toBeUndefined();
    expect((await find(byUser.token))?.scopes).toEqual(['user']);
    const states = (await tokens.list(actor, user.id, { all: true })).map(({ name, state }) => `${name} ${state}`);
    expect(states.sort()).toEqual(['a revoked', 'b revoked', 'c expired', 'd active']);
    expect((await tokens.list(actor, user.id)).map(({ name }) => name)).toEqual(['d']);
    await people.ban(admin, user.id, 'x');
    expect(await find(byUser.token)).toBeUndefined();
    await people.unban(admin, user.id);
    expect(await find(byUser.token)).toBeUndefined();
    const { entries } = await identityAudit(app, admin, { user: user.id, type: 'token_revoked', limit: 10 });
    expect(entries).toHaveLength(1);
    const gone = await make('e');
    const none = { byAudience: () => undefined };
    const elsewhere = new PersonalTokenLookup({
      database: app,
      resources: none,
      entitlements: new DatabaseEntitlements(app),
    });
    expect(await elsewhere.find(hash('sha256', gone.token, 'buffer'))).toBeUndefined();
  });

  it('are made and ended by their user or an admin, and nobody else can tell that they are there', async () => {
    const [user, other] = [await newUser(), await newUser()];
    const robot = await newUser(['service'], 'service');
    await expect(tokens.create(actorOf(user), { userId: other.id, name: 'x' })).rejects.toThrow(ForbiddenError);
    await expect(tokens.list(actorOf(user), other.id)).rejects.toThrow(ForbiddenError);
    const made = await tokens.create(admin, { userId: robot.id, name: 'nightly', scopes: ['service'] });
    expect((await find(made.token))?.scopes).toEqual(['service']);
    await expect(tokens.revoke(actorOf(user), made.id)).rejects.toThrow(NotFoundError);
    await expect(tokens.revoke(admin, 'nonsense')).rejects.toThrow(NotFoundError);
    expect((await tokens.list(admin, undefined)).map(({ id }) => id)).toContain(made.id);
    expect((await tokens.list(actorOf(user), undefined)).map(({ id }) => id)).not.toContain(made.id);
    await people.ban(admin, other.id, 'x');
    await expect(tokens.create(admin, { userId: other.id, name: 'x' })).rejects.toThrow(ForbiddenError);
  });

  it('live no longer than the profile allows, and have names', async () => {
    const user = await newUser();
    const make = (change: { ttlSeconds?: number; name?: string; server?: string }) =>
      tokens.create(actorOf(user), { userId: user.id, name: 't', ...change });
    for (const ttlSeconds of [0, -1, 1.5, 59, 90 * 86_400 + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(make({ ttlSeconds })).rejects.toThrow(UsageError);
    }
    for (const name of ['', ' ', 'a\nb', 'x'.repeat(101)]) await expect(make({ name })).rejects.toThrow(UsageError);
    await expect(make({ server: 'nobody' })).rejects.toThrow(NotFoundError);
    const life = (await make({})).expiresAt.getTime() - Date.now();
    expect(life / 86_400_000).toBeCloseTo(30, 1);
  });
});

describe('auth 55: the audit of identity as it is read', () => {
  it('shows an admin everything and everybody else their own, narrowed and in pages', async () => {
    const [user, other] = [await newUser(), await newUser()];
    await people.ban(admin, other.id, 'x');
    await people.ban(admin, user.id, 'y');
    await people.unban(admin, user.id);
    const own = await identityAudit(app, actorOf(user), { limit: 100 });
    expect(own.entries).toHaveLength(3);
    expect(new Set(own.entries.map(({ userId }) => userId))).toEqual(new Set([user.id]));
    await expect(identityAudit(app, actorOf(user), { user: other.name, limit: 1 })).rejects.toThrow(ForbiddenError);
    await expect(identityAudit(app, actorOf(user), { user: 'nobody', limit: 1 })).rejects.toThrow(ForbiddenError);
    await expect(identityAudit(app, admin, { user: 'nobody', limit: 1 })).rejects.toThrow(NotFoundError);
    await expect(identityAudit(app, admin, { cursor: "1'", limit: 1 })).rejects.toThrow(UsageError);
    const first = await identityAudit(app, admin, { user: user.name, limit: 2 });
    expect(first.nextCursor).toBeDefined();
    const second = await identityAudit(app, admin, { user: user.name, limit: 2, cursor: first.nextCursor });
    expect(second.nextCursor).toBeUndefined();
    expect([...first.entries, ...second.entries]).toEqual(own.entries);
    const future = await identityAudit(app, admin, { since: new Date(Date.now() + 60_000), limit: 5 });
    expect(future.entries).toEqual([]);
  });
});

describe('a personal access token at the verifier', () => {
  it('opens its resource, and is refused as soon as it was revoked', async () => {
    const own = await openTestIdentity();
    try {
      const { verifier, entitlements, users } = own.identity;
      const made = new PersonalTokens({
        database: own.database,
        resources: resourceServers([], { externalUrl, maxTtlSeconds: 3600 }),
        entitlements,
        maxDays: 365,
      });
      const actor = actorOf(await users.ensureOwner(), 'admin');
      const { token, id, audience } = await made.create(actor, { userId: actor.userId, name: 'x', ttlSeconds: 86_400 });
      const claims = await verifier.verify(token, audience);
      expect(claims).toMatchObject({ sub: actor.userId, aud: audience, scopes: ['user'], name: 'owner' });
      expect(await refusalOf(verifier.verify(token, `${externalUrl}/api/v1/mcp/alpha/mcp`))).toBe('audience');
      expect(await refusalOf(verifier.verify(`sp_pat_${'A'.repeat(43)}`, audience))).toBe('revoked');
      await made.revoke(actor, id);
      await until('it is refused', async () => (await refusalOf(verifier.verify(token, audience))) === 'revoked');
    } finally {
      await own.close();
    }
  });
});
