import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instanceAudience, mcpAudience } from '../../../src/lib/app/identity.ts';
import { type LocalLogin, localLoginRoutes } from '../../../src/lib/app/local-login.ts';
import type { ControlRoute } from '../../../src/lib/app/supervisor/control.ts';
import type { Actor } from '../../../src/lib/shared/actor.ts';
import { ForbiddenError, NotFoundError, UnauthenticatedError, UsageError } from '../../../src/lib/shared/errors.ts';
import { newId } from '../../../src/lib/shared/ids.ts';
import {
  externalUrl,
  maxTtlSeconds,
  openTestIdentity,
  refusalOf,
  type TestIdentity,
  until,
} from '../../helpers/identity.ts';

let test: TestIdentity;
let routes: ControlRoute[];

beforeAll(async () => {
  test = await openTestIdentity();
  routes = localLoginRoutes({
    identity: async () => test.identity,
    server: async (name) =>
      name === 'alpha' || name === 'own'
        ? { name, scopes: ['user', 'tools:write'], ownKey: name === 'own' }
        : undefined,
  });
});
afterAll(() => test?.close());

/** As the control socket's server does it: the input is checked by the route's schema first. */
async function call<T>(path: string, input: unknown = {}): Promise<T> {
  const route = routes.find((one) => one.path === path);
  if (route === undefined) throw new Error(`no route ${path}`);
  const checked = route.input.safeParse(input);
  if (!checked.success) throw new UsageError(checked.error.message);
  return (await route.handle(checked.data)) as T;
}

const sessions = async () =>
  (await test.owner.query<{ n: number }>('SELECT count(*)::int AS n FROM user_sessions'))[0]?.n;

describe('sign-in of the local owner', () => {
  it('gives a token of the instance with the roles of the owner', async () => {
    const login = await call<LocalLogin>('/v1/session/login');
    expect(login).toMatchObject({ user: 'owner', audience: instanceAudience(externalUrl), scopes: ['admin'] });
    const actor = await call<Actor>('/v1/actor', { token: login.token });
    expect(actor).toMatchObject({
      userName: 'owner',
      sessionId: login.sessionId,
      scopes: ['admin'],
      permission: 'admin',
    });
    expect(Date.parse(login.expiresAt) - Date.now()).toBeGreaterThan((maxTtlSeconds - 10) * 1000);
    // JSON on the socket carries all of it.
    expect(JSON.parse(JSON.stringify(login))).toEqual(login);
  });

  it('for a server opens that server only, with every scope that it asks for', async () => {
    const login = await call<LocalLogin>('/v1/session/login', { server: 'alpha', ttlSeconds: 60 });
    expect(login).toMatchObject({ audience: mcpAudience(externalUrl, 'alpha'), scopes: ['admin', 'tools:write'] });
    const claims = await test.identity.verifier.verify(login.token, mcpAudience(externalUrl, 'alpha'));
    expect(claims.exp - claims.iat).toBe(60);
    expect(await refusalOf(call('/v1/actor', { token: login.token }))).toBe('audience');
  });

  it('narrows to what is asked for, and refuses more without leaving a session', async () => {
    const narrow = await call<LocalLogin>('/v1/session/login', { scopes: ['mcp', 'user'] });
    expect((await call<Actor>('/v1/actor', { token: narrow.token })).permission).toBe('user');
    const none = await call<LocalLogin>('/v1/session/login', { scopes: [] });
    expect((await call<Actor>('/v1/actor', { token: none.token })).permission).toBe('anonymous');
    const before = await sessions();
    await expect(call('/v1/session/login', { server: 'nobody' })).rejects.toThrow(NotFoundError);
    for (const ttlSeconds of [0, maxTtlSeconds + 1, 1.5]) {
      await expect(call('/v1/session/login', { ttlSeconds })).rejects.toThrow(UsageError);
    }
    await expect(call('/v1/session/login', { scopes: ['two words'] })).rejects.toThrow(UsageError);
    await expect(call('/v1/session/login', { scope: ['user'] })).rejects.toThrow(UsageError);
    await test.owner.query("INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{admin}')");
    await test.owner.query("UPDATE users SET roles = '{user}' WHERE name = 'owner'");
    await expect(call('/v1/session/login', { scopes: ['admin'] })).rejects.toThrow(ForbiddenError);
    await test.owner.query("UPDATE users SET roles = '{admin}', status = 'suspended' WHERE name = 'owner'");
    await expect(call('/v1/session/login')).rejects.toThrow(ForbiddenError);
    await test.owner.query("UPDATE users SET status = 'active' WHERE name = 'owner'");
    expect(await sessions()).toBe(before);
  });

  it('ends at once with the sign-out, also what was delegated from it', async () => {
    const login = await call<LocalLogin>('/v1/session/login', { server: 'alpha' });
    const { verifier, issuer } = test.identity;
    const claims = await verifier.verify(login.token, login.audience);
    const delegated = await issuer.delegate(claims, instanceAudience(externalUrl));
    expect((await call<Actor>('/v1/actor', { token: delegated.token })).scopes).toEqual(['admin', 'tools:write']);
    await call('/v1/session/logout', { sessionId: login.sessionId });
    await until('the delegated token is refused', async () => {
      return (await refusalOf(call('/v1/actor', { token: delegated.token }))) === 'revoked';
    });
    expect(await refusalOf(verifier.verify(login.token, login.audience))).toBe('revoked');
    await expect(call('/v1/session/logout', { sessionId: newId() })).rejects.toThrow(NotFoundError);
  });

  it('auth 55: is on record, and so is its end, once', async () => {
    const { sessionId } = await call<LocalLogin>('/v1/session/login');
    for (let turn = 0; turn < 2; turn += 1) await call('/v1/session/logout', { sessionId });
    const told = await test.database.query(
      'SELECT type, client_id, data FROM identity_events WHERE session_id = $1 ORDER BY id',
      [sessionId],
    );
    expect(told).toEqual([
      { type: 'sign_in', client_id: 'systemprompt-cli', data: { method: 'local' } },
      { type: 'sign_out', client_id: 'systemprompt-cli', data: {} },
    ]);
  });

  it('of two at once is one owner', async () => {
    await Promise.all(Array.from({ length: 8 }, () => call('/v1/session/login')));
    expect(await test.owner.query("SELECT name FROM users WHERE name <> 'ada'")).toEqual([{ name: 'owner' }]);
  });

  it('rotates the key of one server by its name, if it has one', async () => {
    const all = await call<{ active: string }>('/v1/keys/rotate');
    const own = await call<{ active: string; revoked: string[] }>('/v1/keys/rotate', { server: 'own', revoke: true });
    expect(own.revoked).toHaveLength(1);
    const { keys } = await call<{ keys: { kid: string }[] }>('/v1/jwks');
    expect(keys.map((key) => key.kid)).toEqual(expect.arrayContaining([all.active, own.active]));
    await expect(call('/v1/keys/rotate', { server: 'alpha' })).rejects.toMatchObject({ code: 'PRECONDITION' });
    await expect(call('/v1/keys/rotate', { server: 'other' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('rotates and shows the keys', async () => {
    const { active } = await call<{ active: string }>('/v1/keys/rotate');
    const { keys } = await call<{ keys: { kid: string }[] }>('/v1/jwks');
    expect(keys.map((key) => key.kid)).toContain(active);
    await expect(call('/v1/actor', { token: 'abc' })).rejects.toThrow(UnauthenticatedError);
  });
});
