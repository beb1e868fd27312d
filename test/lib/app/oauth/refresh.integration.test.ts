import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { Answer, CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { refusalOf, until } from '../../../helpers/identity.ts';
import { type OAuthRig, openOAuthRig, webRedirect } from '../../../helpers/oauth-rig.ts';

let rig: OAuthRig;
let ada: UserId;
let browser: CookieBrowser;

beforeAll(async () => {
  rig = await openOAuthRig();
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
});
afterAll(() => rig?.close());

const refresh = (refresh_token: string, change: Record<string, string> = {}, on = rig): Promise<Answer> =>
  on.token({ grant_type: 'refresh_token', refresh_token, ...change });
const errorOf = async (answer: Promise<Answer>) => (await answer).json()['error'];
const refreshOf = (answer: Answer) => String(answer.json()['refresh_token']);

/** The window of a refresh is over at once. */
const closeWindows = () => rig.owner.query("UPDATE refresh_windows SET expires_at = now() - interval '1 s'");
const isRevoked = (token: string) =>
  until('its access token is refused', async () => {
    return (await refusalOf(rig.identity.verifier.verify(token, rig.audience('alpha')))) === 'revoked';
  });

describe('a refresh token', () => {
  it('auth 17: is replaced at each use', async () => {
    const first = await rig.tokens(browser);
    const second = await refresh(first.refresh_token);
    expect(second.status).toBe(200);
    expect(second.json()).toMatchObject({ scope: 'user alpha:read', token_type: 'Bearer', expires_in: 3600 });
    expect(refreshOf(second)).not.toBe(first.refresh_token);
    expect((await refresh(refreshOf(second))).status).toBe(200);
    const [one, two] = [first.access_token, String(second.json()['access_token'])].map((token) => decodeJwt(token));
    expect([two?.['sid'], two?.['auth_time']]).toEqual([one?.['sid'], one?.['auth_time']]);
    expect(two?.jti).not.toBe(one?.jti);
  });

  it('auth 17: gives the same answer within the window, and ends the sign-in after it', async () => {
    const { refresh_token: used } = await rig.tokens(browser);
    const first = await refresh(used);
    const again = await refresh(used);
    expect([again.status, again.text]).toEqual([200, first.text]);
    await closeWindows();
    expect(await errorOf(refresh(used))).toBe('invalid_grant');
    await isRevoked(String(first.json()['access_token']));
    expect(await errorOf(refresh(refreshOf(first)))).toBe('invalid_grant');
    const events = await rig.owner.query("SELECT 1 FROM identity_events WHERE type = 'token_reuse' AND user_id = $1", [
      ada,
    ]);
    expect(events.length).toBeGreaterThan(0);
  });

  it('auth 17: that comes again in another request is misuse within the window too', async () => {
    const { refresh_token: used } = await rig.tokens(browser);
    const first = await refresh(used);
    expect(await errorOf(refresh(used, { scope: 'user' }))).toBe('invalid_grant');
    expect(await errorOf(refresh(refreshOf(first)))).toBe('invalid_grant');
  });

  it('auth 18: that is used eight times at once has one successor', async () => {
    const { refresh_token: used } = await rig.tokens(browser);
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(used)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const rows = await rig.owner.query<{ count: number }>(
      `SELECT count(*)::int FROM oauth_payloads WHERE model = 'RefreshToken' AND consumed_at IS NULL AND grant_hash =
         (SELECT grant_hash FROM user_sessions WHERE id = $1)`,
      [decodeJwt(String(answers[0]?.json()['access_token']))['sid']],
    );
    expect(rows).toEqual([{ count: 1 }]);
    expect((await refresh(refreshOf(answers[0] as Answer))).status).toBe(200);
  });

  it('auth 18, auth 56: that is revoked, or whose process dies, in the middle leaves no successor and no loss', async () => {
    const { refresh_token: used, access_token: token } = await rig.tokens(browser);
    const { sid } = decodeJwt(token);
    // Fails where the successor is kept: what was used up is not.
    await rig.owner.query(`CREATE FUNCTION fail_now() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'crashed'; END $$`);
    await rig.owner.query(
      'CREATE TRIGGER fail_now BEFORE INSERT ON refresh_windows FOR EACH ROW EXECUTE FUNCTION fail_now()',
    );
    expect((await refresh(used)).status).toBe(500);
    await rig.owner.query('DROP TRIGGER fail_now ON refresh_windows');
    const second = await refresh(used);
    expect(second.status).toBe(200);
    // Revoked while refreshes are under way: whoever was first, none of what is left works.
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 4 }, () => refresh(refreshOf(second)))),
      rig.identity.sessions.revoke(sid as never),
    ]);
    for (const answer of answers)
      if (answer.status === 200) expect(await errorOf(refresh(refreshOf(answer)))).toBe('invalid_grant');
    const left = await rig.owner.query(
      'SELECT 1 FROM oauth_payloads WHERE grant_hash = (SELECT grant_hash FROM user_sessions WHERE id = $1)',
      [sid],
    );
    expect(left).toEqual([]);
  });

  it('auth 19: is its client’s, and can not gain scopes or resources', async () => {
    await rig.client('other');
    const { refresh_token: token } = await rig.tokens(browser, { scope: 'user' });
    expect(await errorOf(refresh(token, { client_id: 'other' }))).toBe('invalid_grant');
    expect(await errorOf(refresh(token, { scope: 'user alpha:read' }))).toBe('invalid_scope');
    expect(await errorOf(refresh(token, { resource: rig.audience('beta') }))).toBe('invalid_target');
    // None of it used the token up.
    expect((await refresh(token)).json()['scope']).toBe('user');
  });

  it('auth 19: of several resources gives a token for one at a time (T14)', async () => {
    const { address, verifier } = rig.request();
    const both = `${address}&${new URLSearchParams({ resource: rig.audience('beta') })}`;
    const end = await rig.answer(browser, await browser.follow(both));
    const code = new URL(end.headers.location ?? '').searchParams.get('code') ?? '';
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: webRedirect };
    expect(await errorOf(rig.token(form))).toBe('invalid_target');
    const first = await rig.token({ ...form, resource: rig.audience('beta') });
    expect(decodeJwt(String(first.json()['access_token']))['aud']).toBe(rig.audience('beta'));
    const next = await refresh(refreshOf(first), { resource: rig.audience('alpha') });
    expect(decodeJwt(String(next.json()['access_token']))['aud']).toBe(rig.audience('alpha'));
  });

  it('auth 19: ends by lying idle, and with the sign-in however often it is used', async () => {
    const short = await openOAuthRig({ security: { refresh_idle_seconds: 1, refresh_absolute_seconds: 2 } });
    try {
      const there = await short.browser(await short.user('ada'));
      const idle = await short.tokens(there);
      const used = await short.tokens(there);
      const began = Date.now();
      await until('the sign-in is over', async () => Date.now() - began > 1100);
      expect(await errorOf(refresh(idle.refresh_token, {}, short))).toBe('invalid_grant');
      let token = used.refresh_token;
      const statuses = new Set<number>();
      await until('it is refused', async () => {
        const answer = await refresh(token, {}, short);
        statuses.add(answer.status);
        if (answer.status === 200) token = refreshOf(answer);
        return answer.status === 400 || Date.now() - began > 4000;
      });
      expect(statuses).toContain(400);
    } finally {
      await short.close();
    }
  });

  it('auth 19: stops when the user is suspended, the client is removed, or the server is', async () => {
    const eve = await rig.user('eve');
    const there = await rig.browser(eve);
    const suspended = await rig.tokens(there);
    await rig.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [eve]);
    expect(await errorOf(refresh(suspended.refresh_token))).toBe('invalid_grant');

    await rig.client('gone');
    const removed = await rig.tokens(browser, { client_id: 'gone' });
    await rig.owner.query("DELETE FROM oauth_clients WHERE id = 'gone'");
    await until('the client is unknown', async () => {
      return (await errorOf(refresh(removed.refresh_token, { client_id: 'gone' }))) === 'invalid_client';
    });

    const { refresh_token: token } = await rig.tokens(browser, { resource: rig.audience('beta') });
    const { resources } = rig.authorization;
    const served = resources.byAudience;
    Object.assign(resources, {
      byAudience: (audience: string) => (audience.includes('beta') ? undefined : served(audience)),
    });
    expect(await errorOf(refresh(token))).toBe('invalid_target');
    Object.assign(resources, { byAudience: served });
    expect((await refresh(token)).status).toBe(200);
  });

  it('auth 19: gives what is left to the user, and nothing when nothing is', async () => {
    const max = await rig.user('max');
    const there = await rig.browser(max);
    await rig.client('console');
    const params = { client_id: 'console', scope: 'user alpha:wipe' };
    const grant = () =>
      rig.owner.query(
        "INSERT INTO access_grants (subject_type, subject, server, scope, created_by) VALUES ('user', $1, 'alpha', 'alpha:wipe', $2)",
        [max, max],
      );
    const takeBack = () =>
      rig.owner.query('UPDATE access_grants SET revoked_at = now(), revoked_by = $2 WHERE subject = $1', [max, max]);
    await grant();
    const wide = await rig.tokens(there, params);
    expect(wide['scope']).toBe('user alpha:wipe');
    const only = await rig.tokens(there, { ...params, scope: 'alpha:wipe' });
    await takeBack();
    const narrow = await refresh(wide.refresh_token, { client_id: 'console' });
    expect(narrow.json()['scope']).toBe('user');
    // Nothing is left: it is refused, and not used up.
    expect(await errorOf(refresh(only.refresh_token, { client_id: 'console' }))).toBe('invalid_grant');
    await grant();
    expect((await refresh(only.refresh_token, { client_id: 'console' })).json()['scope']).toBe('alpha:wipe');
  });

  it('auth 17: without a window a second use ends the sign-in at once, and eight at once have one answer at most', async () => {
    const strict = await openOAuthRig({ security: { refresh_reuse_window_seconds: 0 } });
    try {
      const there = await strict.browser(await strict.user('ada'));
      const { refresh_token: token } = await strict.tokens(there);
      const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(token, {}, strict)));
      const good = answers.filter(({ status }) => status === 200);
      expect(good.length).toBe(1);
      expect(await errorOf(refresh(refreshOf(good[0] as Answer), {}, strict))).toBe('invalid_grant');
    } finally {
      await strict.close();
    }
  });
});

describe('what the database keeps', () => {
  it('auth 22: lets nobody in who has a copy of it', async () => {
    const { address, verifier } = rig.request();
    const end = await rig.answer(browser, await browser.follow(address));
    const code = new URL(end.headers.location ?? '').searchParams.get('code') ?? '';
    const { refresh_token: used } = await rig.tokens(browser);
    const second = await refresh(used);
    const device = await rig.token({ client_id: 'cli' });
    expect(device.status).toBe(400);
    const tables = ['oauth_payloads', 'refresh_windows', 'user_sessions', 'browser_sessions', 'identity_events'];
    const dump = (
      await Promise.all(tables.map((table) => rig.owner.query(`SELECT t::text AS row FROM ${table} t`)))
    ).flat();
    const text = JSON.stringify(dump);
    // As they are, and as PostgreSQL shows bytes.
    const values = [code, verifier, used, refreshOf(second), String(second.json()['access_token'])];
    for (const value of [...values, ...[...browser.cookies.values()].map(({ value: cookie }) => cookie)]) {
      expect(text).not.toContain(value);
      expect(text).not.toContain(Buffer.from(value).toString('hex'));
    }
  });

  it('is removed when it has expired, a bounded number at a time', async () => {
    await rig.owner.query(
      "UPDATE oauth_payloads SET expires_at = now() - interval '1 hour' WHERE model = 'Interaction'",
    );
    const { sweepPayloads } = await import('../../../../src/lib/domain/auth/index.ts');
    const [one, two] = await Promise.all([sweepPayloads(rig.database, 1), sweepPayloads(rig.database, 1)]);
    expect(one + two).toBeLessThanOrEqual(4);
    while ((await sweepPayloads(rig.database, 100)) > 0);
    expect(await rig.owner.query('SELECT 1 FROM oauth_payloads WHERE expires_at < now()')).toEqual([]);
  });
});
