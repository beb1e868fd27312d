import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mcpAudience } from '../../../../src/lib/app/identity.ts';
import { KeyService, TokenVerifier } from '../../../../src/lib/domain/auth/index.ts';
import { lockKeys } from '../../../../src/lib/domain/auth/repository.ts';
import type { User } from '../../../../src/lib/domain/users/index.ts';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { DatabaseUnavailableError, NotFoundError } from '../../../../src/lib/shared/errors.ts';
import { newId, type SessionId } from '../../../../src/lib/shared/ids.ts';
import {
  externalUrl,
  maxTtlSeconds,
  openTestIdentity,
  refusalOf,
  type TestIdentity,
  until,
} from '../../../helpers/identity.ts';

const audience = mcpAudience(externalUrl, 'alpha');
let test: TestIdentity;
let owner: User;

beforeAll(async () => {
  test = await openTestIdentity();
  owner = await test.identity.users.ensureOwner();
});
afterAll(() => test?.close());

async function signIn(ttlSeconds = 600): Promise<{ token: string; sessionId: SessionId }> {
  // As it is now: what was taken meanwhile counts.
  owner = await test.identity.users.get(owner.id);
  const session = await test.identity.sessions.begin({ userId: owner.id, client: 'test', ttlSeconds });
  const request = { user: owner, sessionId: session.id, audience, scopes: ['admin'], ttlSeconds, client: 'test' };
  return { token: (await test.identity.issuer.issue(request)).token, sessionId: session.id };
}

const kids = async () => (await test.identity.keys.jwks()).keys.map((key) => key.kid);
const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;

describe('signing keys', () => {
  it('are made once, whoever asks and however many at once; the next one is published from the start', async () => {
    const others = await Promise.all([test.openAnother(), test.openAnother()]);
    await Promise.all([test.identity, ...others.map((other) => other.identity)].map((one) => one.keys.ensureKey()));
    for (const other of others) await other.close();
    const rows = await test.owner.query<{ status: string }>('SELECT status FROM signing_keys ORDER BY status');
    expect(rows.map((row) => row.status)).toEqual(['active', 'next']);
    const { keys } = await test.identity.keys.jwks();
    for (const key of keys) {
      expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }
  });

  it('are not blocked by whoever takes an advisory lock; whoever holds their table is named, in bounded time', async () => {
    await test.owner.transaction(async (stranger) => {
      await stranger.query("SELECT pg_advisory_xact_lock(hashtextextended('systemprompt.signing_keys', 0))");
      await test.identity.keys.rotate();
      await stranger.query('LOCK TABLE signing_keys IN ROW EXCLUSIVE MODE');
      const other = await test.openAnother();
      const waiting = other.database.transaction((tx) => lockKeys(tx, 100));
      await expect(waiting).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(
          /signing keys waited 0\.1 s .*process \d+ \(role sp_t_[0-9a-f]+_owner, application/,
        ),
      });
      await other.close();
    });
  });

  it('keep their private half sealed, and drop it when they retire', async () => {
    await test.identity.keys.rotate();
    const rows = await test.owner.query<{ status: string; private_jwe: string | null }>('SELECT * FROM signing_keys');
    for (const { status, private_jwe: jwe } of rows) {
      if (status === 'retired') expect(jwe).toBeNull();
      else expect(jwe?.split('.')).toHaveLength(5);
    }
  });

  it('auth 24: rotation under live traffic fails no verification, here and in another process', async () => {
    const other = await test.openAnother();
    let running = true;
    const seen = new Set<string>();
    let verified = 0;
    const traffic = async () => {
      const held: string[] = [];
      while (running) {
        const { token } = await signIn();
        seen.add(kidOf(token));
        held.push(token);
        for (const one of held.slice(-20)) {
          await other.identity.verifier.verify(one, audience);
          await test.identity.verifier.verify(one, audience);
          verified += 1;
        }
      }
    };
    const clients = Array.from({ length: 4 }, traffic);
    try {
      for (let turn = 1; turn <= 5; turn += 1) {
        const { active } = await other.identity.keys.rotate();
        await until('the new key signs', () => seen.has(active));
        const before = verified;
        await until('traffic went on', () => verified > before + 50);
      }
    } finally {
      running = false;
      await Promise.all(clients);
      await other.close();
    }
    expect(seen.size).toBeGreaterThanOrEqual(5);
  });

  it('auth 24: a key is refused after its overlap, and the next rotation removes it', async () => {
    const { token } = await signIn();
    const kid = kidOf(token);
    await test.identity.keys.rotate();
    expect(await refusalOf(test.identity.verifier.verify(token, audience))).toBe('accepted');
    const ago = maxTtlSeconds + 61;
    await test.owner.query('UPDATE signing_keys SET retired_at = now() - make_interval(secs => $1) WHERE kid = $2', [
      ago,
      kid,
    ]);
    await until('the verifier heard of it', async () => {
      return (await refusalOf(test.identity.verifier.verify(token, audience))) === 'unknown_key';
    });
    expect(await kids()).not.toContain(kid);
    await test.identity.keys.rotate();
    expect(await test.owner.query('SELECT 1 FROM signing_keys WHERE kid = $1', [kid])).toEqual([]);
  });

  it('rotated to revoke: what older keys signed is refused everywhere at once, new tokens are good', async () => {
    const { token } = await signIn();
    await test.identity.verifier.verify(token, audience);
    const result = await test.identity.keys.rotate({ revoke: true });
    expect(result.retired).toBe(kidOf(token));
    await until('the token is refused', async () => {
      return (await refusalOf(test.identity.verifier.verify(token, audience))) === 'unknown_key';
    });
    expect(await refusalOf(test.identity.verifier.verify((await signIn()).token, audience))).toBe('accepted');
    expect(await kids()).toHaveLength(2);
  });

  it('that were moved to another row sign nothing', async () => {
    const keys = new KeyService({ database: test.database, sealer: test.secrets, maxTokenTtlSeconds: maxTtlSeconds });
    await test.owner.query(
      `UPDATE signing_keys SET private_jwe = (SELECT private_jwe FROM signing_keys WHERE status = 'next') WHERE status = 'active'`,
    );
    await expect(keys.signingKey()).rejects.toThrow(/damaged/);
    await test.identity.keys.rotate({ revoke: true });
  });
});

describe('ended sign-ins', () => {
  it('auth 16: are refused by every process, remembered tokens too, within a second', async () => {
    const other = await test.openAnother();
    const { token, sessionId } = await signIn();
    const kept = await signIn();
    const verifiers = [test.identity.verifier, other.identity.verifier];
    for (const verifier of verifiers) await verifier.verify(token, audience);
    const revoked = await test.identity.sessions.revoke(sessionId);
    for (const verifier of verifiers) {
      await until('it is refused', async () => (await refusalOf(verifier.verify(token, audience))) === 'revoked', 1000);
      expect(await refusalOf(verifier.verify(kept.token, audience))).toBe('accepted');
    }
    // Doing it again changes nothing, not even the time.
    expect((await test.identity.sessions.revoke(sessionId)).revokedAt).toEqual(revoked.revokedAt);
    await expect(test.identity.sessions.revoke(newId())).rejects.toThrow(NotFoundError);
    await other.close();
  });

  it('are not believed from an announcement alone: every role of the database may send one', async () => {
    const [kept, ended] = [await signIn(), await signIn()];
    const forged = { type: 'revoked', session: kept.sessionId, until: 99_999_999_999 };
    await test.owner.query("SELECT pg_notify('auth', $1)", [JSON.stringify(forged)]);
    // Announcements keep their order: when the second one is known, the first was heard.
    await test.identity.sessions.revoke(ended.sessionId);
    await until('the other one is refused', async () => {
      return (await refusalOf(test.identity.verifier.verify(ended.token, audience))) === 'revoked';
    });
    expect(await refusalOf(test.identity.verifier.verify(kept.token, audience))).toBe('accepted');
  });

  it('are known to a process that starts afterwards', async () => {
    const { token, sessionId } = await signIn();
    await test.identity.sessions.revoke(sessionId);
    const late = await test.openAnother();
    expect(await refusalOf(late.identity.verifier.verify(token, audience))).toBe('revoked');
    await late.close();
  });

  it('of a user who is suspended: all of them; who loses a role keeps the sign-in, and loses the tokens from before', async () => {
    const { verifier } = test.identity;
    await test.owner.query("INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{admin}')");
    const { token, sessionId } = await signIn();
    const refused = (reason: string) =>
      until('it is refused', async () => (await refusalOf(verifier.verify(token, audience))) === reason);
    const ended = async () => {
      const sql = 'SELECT revoked_at FROM user_sessions WHERE id = $1';
      return (await test.owner.query<{ revoked_at: Date | null }>(sql, [sessionId]))[0]?.revoked_at !== null;
    };
    await test.owner.query("UPDATE users SET roles = '{user}' WHERE id = $1", [owner.id]);
    await refused('access_changed');
    expect(await ended()).toBe(false);
    await test.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [owner.id]);
    await refused('revoked');
    expect(await ended()).toBe(true);
    await test.owner.query("UPDATE users SET roles = '{admin}', status = 'active' WHERE id = $1", [owner.id]);
    expect(await refusalOf(verifier.verify((await signIn()).token, audience))).toBe('accepted');
  });

  it('are not missed when the listening connection was lost meanwhile', async () => {
    const { token, sessionId } = await signIn();
    await test.identity.verifier.verify(token, audience);
    const admin = openDatabase(test.testDatabase.admin, { poolSize: 1 });
    // In one statement with its end: the announcement finds nobody listening.
    await admin.query(
      `WITH ended AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%')
       UPDATE user_sessions SET revoked_at = now() WHERE id = $1 AND (SELECT count(*) FROM ended) > 0`,
      [sessionId],
    );
    await until('it is refused', async () => {
      return (await refusalOf(test.identity.verifier.verify(token, audience))) === 'revoked';
    });
    await admin.close();
  });
});

describe('auth 53: without the database', () => {
  it('there is no verifier', async () => {
    const nowhere = openDatabase({ ...test.testDatabase.app, port: 1, host: '127.0.0.1' }, { connectTimeoutMs: 1000 });
    const keys = new KeyService({ database: nowhere, sealer: test.secrets, maxTokenTtlSeconds: maxTtlSeconds });
    const opening = TokenVerifier.open({ database: nowhere, keys, issuer: externalUrl, maxTtlSeconds });
    await expect(opening).rejects.toThrow(DatabaseUnavailableError);
    await nowhere.close();
  });

  it('a token with an unknown key is an outage, not a verdict; strangers ask the database once a second at most', async () => {
    let asked = 0;
    let away = false;
    const watched: typeof test.database = Object.create(test.database, {
      query: {
        value: (sql: string, params?: readonly unknown[]) => {
          if (sql.includes('signing_keys')) asked += 1;
          return away ? Promise.reject(new DatabaseUnavailableError('gone')) : test.database.query(sql, params);
        },
      },
      listen: { value: test.database.listen.bind(test.database) },
    });
    const verifier = await TokenVerifier.open({
      database: watched,
      keys: test.identity.keys,
      issuer: externalUrl,
      maxTtlSeconds,
    });
    const { token } = await signIn();
    const [, payload, signature] = token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: 'stranger' })).toString('base64url');
    const strange = `${header}.${payload}.${signature}`;
    away = true;
    await expect(verifier.verify(strange, audience)).rejects.toThrow(DatabaseUnavailableError);
    away = false;
    asked = 0;
    const all = await Promise.all(Array.from({ length: 200 }, () => refusalOf(verifier.verify(strange, audience))));
    expect(new Set(all)).toEqual(new Set(['unknown_key']));
    expect(asked).toBeLessThanOrEqual(1);
    // What is known goes on being served for the bounded time.
    expect(await refusalOf(verifier.verify(token, audience))).toBe('accepted');
    await verifier.close();
  });

  it('nobody is let in once revocations could not be read for a minute, remembered tokens included', async () => {
    const { token } = await signIn();
    await test.identity.verifier.verify(token, audience);
    const later = performance.now() + 61_000;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(later);
    try {
      await expect(test.identity.verifier.verify(token, audience)).rejects.toThrow(DatabaseUnavailableError);
    } finally {
      clock.mockRestore();
    }
    expect(await refusalOf(test.identity.verifier.verify(token, audience))).toBe('accepted');
  });
});
