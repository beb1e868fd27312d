import { chmod, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { planRename, type RenamePlan, rpIdOf } from '../../../../src/lib/app/rename-origin/plan.ts';
import { renameOrigin } from '../../../../src/lib/app/rename-origin/rename.ts';
import { insertPasskey } from '../../../../src/lib/domain/auth/index.ts';
import { loadProfile } from '../../../../src/lib/infra/config/profile.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { type ConfigProject, configProject, profilePath } from '../../../helpers/config-project.ts';
import { openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';
import { serverConfig } from '../../../helpers/server-config.ts';

const from = 'https://old.example.com';
const to = 'https://new.example.com';
const text = `# mine\nserver:\n  external_url: ${from} # ours\nsecurity:\n  issuer: ${from}\n`;

let test: TestIdentity;
let admin: Actor;
let users: Record<string, UserId>;
let project: ConfigProject;

beforeAll(async () => {
  test = await openTestIdentity();
  const add = async (name: string, status = 'active') => {
    const [row] = await test.owner.query<{ id: UserId }>(
      "INSERT INTO users (name, display_name, roles, status) VALUES ($1, $1, '{user}', $2) RETURNING id",
      [name, status],
    );
    return row?.id as UserId;
  };
  users = { ada: await add('ada'), bob: await add('bob'), eve: await add('eve', 'suspended'), zoe: await add('zoe') };
  let number = 0;
  const passkey = (user: string, rpId: string, name: string) => {
    number += 1;
    return insertPasskey(test.database, {
      userId: users[user] as UserId,
      credentialId: Buffer.from([number]),
      publicKey: Buffer.from([1]),
      counter: 0,
      transports: [],
      deviceType: 'singleDevice',
      backedUp: false,
      aaguid: '00000000-0000-0000-0000-000000000000',
      rpId,
      name,
    });
  };
  await passkey('ada', 'old.example.com', 'laptop');
  await passkey('ada', 'new.example.com', 'from before');
  await passkey('bob', 'old.example.com', 'phone');
  await passkey('eve', 'old.example.com', 'gone');
  await test.owner.query("UPDATE passkeys SET last_used_at = '2026-01-02T03:04:05Z' WHERE name = 'phone'");
  const session = (user: string, kind: string) =>
    test.owner.query<{ id: string }>(
      `INSERT INTO user_sessions (user_id, client, kind, expires_at, grant_hash)
       VALUES ($1::uuid, 'app', $2::text, now() + interval '1 h', CASE WHEN $2::text = 'oauth' THEN sha256($1::uuid::text::bytea) END)
       RETURNING id`,
      [users[user], kind],
    );
  await session('ada', 'browser');
  await session('ada', 'oauth');
  await session('bob', 'oauth');
  const [token] = await session('bob', 'token');
  await test.owner.query(
    `INSERT INTO personal_access_tokens (user_id, session_id, name, hash, audience, scopes, expires_at)
     VALUES ($1, $2, 'ci', sha256('x'), $3, '{user}', now() + interval '1 h')`,
    [users['bob'], token?.id, `${from}/api/v1`],
  );
  await test.owner.query(
    `INSERT INTO oauth_clients (id, kind, name, metadata) VALUES
     ('console', 'builtin', 'Console', $1), ('app', 'registered', 'App', $2)`,
    [
      JSON.stringify({ redirect_uris: [`${from}/console`, 'http://127.0.0.1/callback', `${from}.evil.example/`] }),
      JSON.stringify({ redirect_uris: [`${from}/app`] }),
    ],
  );
  const [owner] = await test.owner.query<{ id: UserId }>(
    "INSERT INTO users (name, display_name, roles) VALUES ('root', 'root', '{admin}') RETURNING id",
  );
  admin = { userId: owner?.id as UserId, userName: 'root', scopes: ['admin'], permission: 'admin' };
});
afterAll(() => test?.close());
beforeEach(async () => {
  project = await configProject({ [profilePath]: text });
  return () => project[Symbol.asyncDispose]();
});

const file = () => join(project.path, profilePath);
const servers = [serverConfig({ name: 'alpha', displayName: 'Alpha', oauth: { required: true, scopes: ['user'] } })];
async function plan(address = to, keepOld = false): Promise<RenamePlan> {
  const profile = await loadProfile(project.instance, 'local', {});
  return await planRename({ database: test.database, profile, servers }, { address, keepOld });
}
const carriedOut = async (what: RenamePlan) =>
  await renameOrigin(what, {
    database: test.database,
    change: { instance: project.instance, profileName: 'local', env: {} },
    actor: admin,
  });
const events = () =>
  test.owner.query<{ type: string; data: Record<string, unknown>; client_id: string | null }>(
    'SELECT type, data, client_id FROM identity_events WHERE actor_id = $1 ORDER BY id',
    [admin.userId],
  );

describe('a new address', () => {
  it('names beforehand who loses which passkey, and what is called otherwise', async () => {
    const found = await plan();
    expect(found.lostPasskeys.map(({ userName, name, lastUsedAt }) => [userName, name, lastUsedAt])).toEqual([
      ['ada', 'laptop', undefined],
      ['bob', 'phone', new Date('2026-01-02T03:04:05Z')],
    ]);
    expect(found.foundPasskeys.map(({ name }) => name)).toEqual(['from before']);
    expect(found.lockedOut).toEqual(['bob']);
    expect(found.rpId).toEqual({ before: 'old.example.com', after: 'new.example.com' });
    expect(found.issuer).toMatchObject({ before: from, after: to, changes: true });
    expect(found.addresses).toContainEqual({
      kind: 'audience',
      what: 'audience of alpha',
      before: `${from}/api/v1/mcp/alpha/mcp`,
      after: `${to}/api/v1/mcp/alpha/mcp`,
    });
    expect(found.addresses).toContainEqual({
      kind: 'metadata',
      what: 'metadata of instance',
      before: `${from}/.well-known/oauth-protected-resource/api/v1`,
      after: `${to}/.well-known/oauth-protected-resource/api/v1`,
    });
    expect(found.uses.sessions).toEqual(
      expect.arrayContaining([
        { kind: 'browser', count: 1, users: 1 },
        { kind: 'oauth', count: 2, users: 2 },
      ]),
    );
    expect(found.uses).toMatchObject({ personalTokens: 1, clients: [{ id: 'app' }, { id: 'console' }] });
    expect(await readFile(file(), 'utf8')).toBe(text);
  });

  it('keeps the passkeys where the name stays, whatever the port', async () => {
    const found = await plan('https://old.example.com:8443');
    expect(found).toMatchObject({ lostPasskeys: [], foundPasskeys: [], lockedOut: [], issuer: { changes: true } });
    expect([rpIdOf('https://192.0.2.1'), rpIdOf('https://[2001:db8::1]')]).toEqual([undefined, undefined]);
    expect((await plan('https://192.0.2.1')).notes.join()).toContain('no passkeys');
  });

  it.each([
    ['new.example.com', 'USAGE'],
    ['ftp://new.example.com', 'USAGE'],
    [`${to}/path`, 'USAGE'],
    [`${to}/?`, 'USAGE'],
    ['https://user:pw@new.example.com', 'USAGE'],
    ['https://new.example.com.', 'USAGE'],
    [from, 'USAGE'],
    [`${from}:443/`, 'USAGE'],
    ['http://new.example.com', 'PRECONDITION'],
    ['http://127.0.0.1.example.com', 'PRECONDITION'],
  ])('is refused: %s', async (address, code) => {
    await expect(plan(address)).rejects.toMatchObject({ code, message: expect.not.stringContaining('pw') });
  });

  it('may be plain http on this machine', async () => {
    expect(await plan('http://localhost:8080')).toMatchObject({ to: 'http://localhost:8080' });
  });

  it('is not given when the file can not be written, and nothing is on record then', async () => {
    const found = await plan();
    await chmod(dirname(file()), 0o500);
    const writable = process.getuid?.() === 0; // root writes wherever it likes
    const outcome = writable
      ? renameOrigin(
          { ...found, changes: [{ path: ['server', 'external_url'], value: 'nonsense' }] },
          {
            database: test.database,
            change: { instance: project.instance, profileName: 'local', env: {} },
            actor: admin,
          },
        )
      : carriedOut(found);
    await expect(outcome).rejects.toThrow();
    await chmod(dirname(file()), 0o700);
    expect(await events()).toEqual([]);
    expect(await plan()).toMatchObject({ uses: { clients: [{ id: 'app' }, { id: 'console' }] } });
  });

  it('is written with the rest of the file as it was, and put on record', async () => {
    await carriedOut(await plan(to, true));
    const written = await readFile(file(), 'utf8');
    expect(written).toContain(`# mine\nserver:\n  external_url: ${to} # ours\n`);
    const profile = await loadProfile(project.instance, 'local', {});
    expect(profile.security).toMatchObject({ issuer: to, audiences: [from] });
    expect(await events()).toMatchObject([
      { type: 'origin_renamed', data: { from, to, users_without_passkey: ['bob'], passkeys_lost: 2, kept_old: true } },
      { type: 'client_changed', client_id: 'console' },
    ]);
    const rows = await test.owner.query(
      "SELECT metadata -> 'redirect_uris' AS uris FROM oauth_clients WHERE id IN ('app', 'console') ORDER BY id",
    );
    expect(rows).toEqual([
      { uris: [`${from}/app`] },
      { uris: [`${to}/console`, 'http://127.0.0.1/callback', `${from}.evil.example/`] },
    ]);
    // The way back: the passkeys are as they were, and the address that was trusted is the address again.
    const back = await plan(from);
    expect(back.lostPasskeys.map(({ name }) => name)).toEqual(['from before']);
    await carriedOut(back);
    const again = await loadProfile(project.instance, 'local', {});
    expect([again.server.external_url, again.security.issuer, again.security.audiences]).toEqual([from, from, []]);
  });

  it('is for admins', async () => {
    const found = await plan();
    const change = { instance: project.instance, profileName: 'local', env: {} };
    const actor = { ...admin, scopes: ['user'], permission: 'user' } as Actor;
    await expect(renameOrigin(found, { database: test.database, change, actor })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });

  it('leaves an issuer that is another on purpose', async () => {
    await using other = await configProject({
      [profilePath]: text.replace(`issuer: ${from}`, 'issuer: https://id.example.com'),
    });
    const profile = await loadProfile(other.instance, 'local', {});
    const found = await planRename({ database: test.database, profile, servers }, { address: to, keepOld: false });
    expect(found.issuer).toMatchObject({ after: 'https://id.example.com', changes: false });
    expect(found.signedTokensEnd).toBe(true);
    const kept = await planRename({ database: test.database, profile, servers }, { address: to, keepOld: true });
    expect(kept.signedTokensEnd).toBe(false);
    expect(found.changes).toEqual([{ path: ['server', 'external_url'], value: to }]);
  });
});
