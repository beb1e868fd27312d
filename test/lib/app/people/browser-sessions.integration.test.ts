import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrowserSessions, isRecent, requireRecent } from '../../../../src/lib/app/people/browser-sessions.ts';
import { cookiesFor } from '../../../../src/lib/app/people/cookies.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { CookieJar } from '../../../helpers/browser.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';

let test: TestIdentity;
let sessions: BrowserSessions;
let userId: UserId;
const methods = ['passkey'] as const;

beforeAll(async () => {
  test = await openTestIdentity();
  sessions = new BrowserSessions({ database: test.database, externalUrl });
  userId = (await test.identity.users.ensureOwner()).id;
});
afterAll(() => test?.close());

const age = (column: string, by: string, sessionId: string) =>
  test.owner.query(`UPDATE user_sessions SET ${column} = ${column} - $1::interval WHERE id = $2`, [by, sessionId]);

describe('A browser session', () => {
  it('says who sits there, and is a session like others', async () => {
    const jar = new CookieJar();
    expect(await sessions.current(jar.request)).toBeUndefined();
    const begun = await sessions.begin(jar.request, jar.response, { userId, methods });
    expect(await sessions.current(jar.request)).toEqual(begun);
    expect(begun).toMatchObject({ userId, userName: 'owner', methods });
    const [row] = await test.database.query('SELECT kind, client, user_agent FROM user_sessions WHERE id = $1', [
      begun.sessionId,
    ]);
    expect(row).toEqual({ kind: 'browser', client: 'browser', user_agent: 'Test Browser' });
  });

  it('auth 50: gets a new id at each sign-in and at a change of rights, and the old one is worth nothing', async () => {
    const jar = new CookieJar();
    const browser = sessions.browser(jar.request, jar.response);
    const first = await sessions.begin(jar.request, jar.response, { userId, methods });
    expect([...jar.all.values()]).not.toContain(browser);
    const stolen = jar.copy();
    const second = await sessions.begin(jar.request, jar.response, { userId, methods });
    expect(second.sessionId).not.toBe(first.sessionId);
    expect(await sessions.current(stolen.request)).toBeUndefined();
    const told = await test.owner.query(
      "SELECT type, data FROM identity_events WHERE session_id = $1 AND type = 'sign_out'",
      [first.sessionId],
    );
    expect(told).toEqual([{ type: 'sign_out', data: { by: 'sign_in' } }]);

    const before = jar.copy();
    await sessions.rotate(jar.request, jar.response);
    expect(await sessions.current(before.request)).toBeUndefined();
    expect(await sessions.current(jar.request)).toMatchObject({ sessionId: second.sessionId });
  });

  it('auth 50: ends on the server at sign-out, by its row, and when the roles of its user change', async () => {
    const jar = new CookieJar();
    const ended = await sessions.begin(jar.request, jar.response, { userId, methods });
    const kept = jar.copy();
    await sessions.end(jar.request, jar.response);
    expect(jar.all.size).toBe(0);
    expect(await sessions.current(kept.request)).toBeUndefined();
    await sessions.end(kept.request, kept.response);
    const { sessionId: first } = ended;
    const told = await test.owner.query(
      "SELECT user_id FROM identity_events WHERE type = 'sign_out' AND session_id = $1",
      [first],
    );
    expect(told).toEqual([{ user_id: userId }]);

    const { sessionId } = await sessions.begin(jar.request, jar.response, { userId, methods });
    await test.identity.sessions.revoke(sessionId);
    expect(await sessions.current(jar.request)).toBeUndefined();

    await sessions.begin(jar.request, jar.response, { userId, methods });
    await test.owner.query("UPDATE users SET roles = '{admin,user}' WHERE id = $1", [userId]);
    expect(await sessions.current(jar.request)).toBeUndefined();
  });

  it('auth 50: ends after 12 hours without use and after 30 days', async () => {
    const jar = new CookieJar();
    const { sessionId } = await sessions.begin(jar.request, jar.response, { userId, methods });
    await age('last_seen_at', '11 hours 59 minutes', sessionId);
    expect(await sessions.current(jar.request)).toBeDefined();
    // It was used: that begins anew.
    await age('last_seen_at', '11 hours 59 minutes', sessionId);
    expect(await sessions.current(jar.request)).toBeDefined();
    await age('last_seen_at', '12 hours 1 minute', sessionId);
    expect(await sessions.current(jar.request)).toBeUndefined();

    const next = await sessions.begin(jar.request, jar.response, { userId, methods });
    await age('expires_at', '29 days 23 hours 59 minutes', next.sessionId);
    expect(await sessions.current(jar.request)).toBeDefined();
    await age('expires_at', '2 minutes', next.sessionId);
    expect(await sessions.current(jar.request)).toBeUndefined();
  });

  it('is not begun for a suspended user', async () => {
    const [user] = await test.owner.query<{ id: UserId }>(
      "INSERT INTO users (name, display_name, roles, status) VALUES ('gone', 'Gone', '{user}', 'suspended') RETURNING id",
    );
    const jar = new CookieJar();
    const begin = sessions.begin(jar.request, jar.response, { userId: user?.id as UserId, methods });
    await expect(begin).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(jar.all.size).toBe(0);
  });

  it('auth 22: is kept as a hash', async () => {
    const jar = new CookieJar();
    await sessions.begin(jar.request, jar.response, { userId, methods });
    const rows = JSON.stringify(await test.owner.query("SELECT *, encode(hash, 'base64') FROM browser_sessions"));
    for (const value of jar.all.values()) expect(rows).not.toContain(value);
  });

  it('auth 51: knows whether its user was there lately', async () => {
    const now = new Date();
    expect(() => requireRecent({ authTime: now }, 10)).not.toThrow();
    expect(isRecent({ authTime: now }, 10, now.getTime() + 601_000)).toBe(false);
    expect(() => requireRecent({ authTime: new Date(now.getTime() - 601_000) }, 10)).toThrow(/Sign in again/);
  });
});

describe('The cookies', () => {
  const written = (url: string): string[] => {
    const lines: string[] = [];
    const { session, browser } = cookiesFor(url, 60);
    for (const each of [session, browser]) each.write({ appendHeader: (_name, line) => lines.push(line) }, 'x');
    return lines;
  };

  it('auth 50: are __Host-, Secure, HttpOnly and Lax by https', () => {
    expect(written('https://id.example.com')).toEqual([
      '__Host-systemprompt-session=x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure',
      '__Host-systemprompt-browser=x; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax; Secure',
    ]);
  });

  it('have plain names by http, and the port in them', () => {
    expect(written('http://localhost:8080')[0]).toBe(
      'systemprompt-session-8080=x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax',
    );
  });

  it('are none when one comes twice or is malformed', () => {
    const { session } = cookiesFor('http://localhost:8080', 60);
    const value = 'a'.repeat(43);
    const read = (cookie: string) => session.read({ headers: { cookie } });
    expect(read(`x=1; systemprompt-session-8080=${value}`)).toBe(value);
    expect(read(`systemprompt-session-8080=${value}; systemprompt-session-8080=${value}`)).toBeUndefined();
    expect(read('systemprompt-session-8080="a b"')).toBeUndefined();
    expect(read(`systemprompt-session-8081=${value}`)).toBeUndefined();
  });
});
