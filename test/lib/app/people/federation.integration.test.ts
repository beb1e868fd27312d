import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CookieJar } from '../../../helpers/browser.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { type OtherProvider, otherClient, type Profile, startOtherProvider } from '../../../helpers/oidc-provider.ts';
import { openTestPeople, type TestPeople } from '../../../helpers/people.ts';

const callback = (id: string): string => `${externalUrl}/auth/federation/${id}/callback`;

let company: OtherProvider;
let evil: OtherProvider;
let rig: TestPeople;

beforeAll(async () => {
  company = await startOtherProvider(['company', 'staff', 'closed'].map(callback));
  evil = await startOtherProvider([callback('evil')]);
  const at = { client_id: otherClient.id, client_secret: '${secret:federation}' };
  rig = await openTestPeople(
    {
      security: {
        federation: [
          { id: 'company', name: 'Company', issuer: company.issuer, create_users: 'invited', ...at },
          {
            id: 'staff',
            name: 'Staff',
            issuer: company.issuer,
            create_users: 'domains',
            domains: ['example.com'],
            ...at,
          },
          { id: 'closed', name: 'Closed', issuer: company.issuer, ...at },
          { id: 'evil', name: 'Evil', issuer: evil.issuer, ...at },
          { id: 'away', name: 'Away', issuer: 'http://127.0.0.1:9', client_id: 'x' },
        ],
      },
    },
    { secrets: { federation: otherClient.secret } },
  );
});
afterAll(async () => {
  await rig?.close();
  await Promise.all([company?.close(), evil?.close()]);
});
beforeEach(() => rig.test.owner.query('TRUNCATE sign_in_attempts'));

const start = (jar: CookieJar, id: string, given = {}) =>
  rig.people.federation.start(jar.request, jar.response, id, given);
const back = (jar: CookieJar, id: string, url: string) =>
  rig.people.federation.callback(jar.request, jar.response, id, { url, address: '192.0.2.1' });

/** Signs in there as somebody and comes back. */
async function signIn(id: string, profile: Profile, jar = new CookieJar(), given = {}) {
  company.next = profile;
  return back(jar, id, await company.walk(await start(jar, id, given)));
}

const reasonOf = async (): Promise<unknown> => (await rig.events('sign_in_failed')).at(-1)?.data['reason'];

describe('Sign-in by another provider', () => {
  it('lets in who was invited by the address that it has verified, and knows them by issuer and subject from then on', async () => {
    const id = await rig.user('ada', 'ada@example.com');
    const jar = new CookieJar();
    const first = await signIn('company', { sub: 'a-1', email: 'ADA@Example.com', email_verified: true }, jar, {
      returnTo: '/auth/interaction/x',
    });
    expect(first).toMatchObject({ session: { userId: id, methods: ['federation'] }, returnTo: '/auth/interaction/x' });
    expect(await rig.people.sessions.current(jar.request)).toMatchObject({ userId: id });
    // The address there is not looked at any more.
    const again = await signIn('company', { sub: 'a-1', email: 'other@example.com', email_verified: false });
    expect(again.session.userId).toBe(id);
    expect(await rig.people.federation.list(id)).toMatchObject([
      { issuer: company.issuer, provider: 'company', label: 'ADA@Example.com' },
    ]);
  });

  it('auth 49: links no user by an address that nobody has verified', async () => {
    const id = await rig.user('bob', 'bob@example.com');
    for (const claim of [{ email_verified: false }, {}]) {
      const came = signIn('company', { sub: 'b-1', email: 'bob@example.com', ...claim });
      await expect(came).rejects.toMatchObject({ code: 'FORBIDDEN', data: { reason: 'not_linked' } });
    }
    expect(await rig.people.federation.list(id)).toEqual([]);
  });

  it('auth 49: links no user who has signed in before, whatever the address', async () => {
    const id = await rig.user('carol', 'carol@example.com');
    const jar = new CookieJar();
    await rig.people.sessions.begin(jar.request, jar.response, { userId: id, methods: ['mail_link'] });
    for (const provider of ['company', 'staff']) {
      const came = signIn(provider, { sub: 'c-1', email: 'carol@example.com', email_verified: true });
      await expect(came).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
  });

  it('auth 49: takes an address that merely looks like another for another', async () => {
    await rig.user('dave', 'dave@example.com');
    const came = signIn('company', { sub: 'd-1', email: 'dаve@example.com', email_verified: true });
    await expect(came).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('makes users of the domains that are named, and of no others', async () => {
    const made = await signIn('staff', { sub: 's-1', email: 'eve.x@example.com', email_verified: true, name: 'Eve' });
    const [row] = await rig.test.owner.query('SELECT name, email, display_name, roles FROM users WHERE id = $1', [
      made.session.userId,
    ]);
    expect(row).toEqual({ name: 'eve.x', email: 'eve.x@example.com', display_name: 'Eve', roles: ['user'] });
    // A second one of that name gets another.
    await rig.user('fay');
    const fay = await signIn('staff', { sub: 's-2', email: 'fay@example.com', email_verified: true });
    expect(fay.session.userName).toMatch(/^fay-[a-z0-9]{1,6}$/);
    for (const email of ['x@sub.example.com', 'x@notexample.com', 'x@example.com.evil.example']) {
      const came = signIn('staff', { sub: `s-${email}`, email, email_verified: true });
      await expect(came).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
    const unverified = signIn('staff', { sub: 's-4', email: 'gus@example.com', email_verified: false });
    await expect(unverified).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('lets nobody in who is not linked where no users are made', async () => {
    await rig.user('hal', 'hal@example.com');
    const came = signIn('closed', { sub: 'h-1', email: 'hal@example.com', email_verified: true });
    await expect(came).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('is linked on the account page by who is signed in, to one user alone, and unlinked with its sessions', async () => {
    const id = await rig.user('ida');
    const jar = new CookieJar();
    const session = await rig.people.sessions.begin(jar.request, jar.response, { userId: id, methods: ['passkey'] });
    const linked = await signIn('closed', { sub: 'i-1' }, jar, { link: session });
    expect(linked).toMatchObject({ linked: true, session: { sessionId: session.sessionId } });
    const there = new CookieJar();
    expect((await signIn('closed', { sub: 'i-1' }, there)).session.userId).toBe(id);

    const other = new CookieJar();
    const userId = await rig.user('joe');
    const theirs = await rig.people.sessions.begin(other.request, other.response, { userId, methods: ['passkey'] });
    await expect(signIn('closed', { sub: 'i-1' }, other, { link: theirs })).rejects.toMatchObject({ code: 'CONFLICT' });

    const [identity] = await rig.people.federation.list(id);
    await expect(rig.people.federation.unlink(theirs, identity?.id ?? '')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await rig.people.federation.unlink(session, identity?.id ?? '');
    expect(await rig.people.sessions.current(there.request)).toBeUndefined();
    expect(await rig.people.sessions.current(jar.request)).toBeDefined();
    await expect(signIn('closed', { sub: 'i-1' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('links nothing when somebody else sits there by the time of the way back, or nobody', async () => {
    const jar = new CookieJar();
    const userId = await rig.user('kim');
    const session = await rig.people.sessions.begin(jar.request, jar.response, { userId, methods: ['passkey'] });
    const old = { ...session, authTime: new Date(Date.now() - 11 * 60_000) };
    await expect(start(jar, 'closed', { link: old })).rejects.toMatchObject({
      data: { reason: 'recent_authentication' },
    });
    company.next = { sub: 'k-1' };
    const url = await company.walk(await start(jar, 'closed', { link: session }));
    await rig.test.identity.sessions.revoke(session.sessionId);
    await expect(back(jar, 'closed', url)).rejects.toMatchObject({ data: { reason: 'state' } });
    expect(await rig.people.federation.list(userId)).toEqual([]);
  });

  it('auth 43: keeps a state for one way back, for ten minutes, in the browser that began', async () => {
    const profile = { sub: 'a-1' };
    company.next = profile;
    const jar = new CookieJar();
    const url = await company.walk(await start(jar, 'company'));
    await expect(back(new CookieJar(), 'company', url)).rejects.toMatchObject({ data: { reason: 'state' } });
    const thief = new CookieJar();
    await start(thief, 'company');
    await expect(back(thief, 'company', url)).rejects.toMatchObject({ data: { reason: 'state' } });
    const again = jar.copy();
    await back(jar, 'company', url);
    await expect(back(again, 'company', url)).rejects.toMatchObject({ data: { reason: 'state' } });
    expect(await reasonOf()).toBe('state');

    const late = new CookieJar();
    const old = await company.walk(await start(late, 'company'));
    await rig.test.owner.query("UPDATE sign_in_steps SET expires_at = expires_at - interval '10 minutes'");
    await expect(back(late, 'company', old)).rejects.toMatchObject({ data: { reason: 'state' } });
    for (const query of ['', '?code=x', '?state=a&state=b&code=x']) {
      await expect(back(late, 'company', `${callback('company')}${query}`)).rejects.toMatchObject({
        data: { reason: 'state' },
      });
    }
  });

  it('auth 43: asks with PKCE, state and nonce, none of which can be made of what the database keeps', async () => {
    const jar = new CookieJar();
    const { searchParams } = new URL(await start(jar, 'company'));
    expect(Object.fromEntries(searchParams)).toMatchObject({
      response_type: 'code',
      redirect_uri: callback('company'),
      code_challenge_method: 'S256',
      scope: 'openid email profile',
    });
    const kept = JSON.stringify(await rig.test.owner.query('SELECT *, hash::text FROM sign_in_steps'));
    for (const name of ['state', 'nonce', 'code_challenge']) expect(kept).not.toContain(searchParams.get(name) ?? '');
  });

  it("auth 44: refuses an answer on another provider's way back, and one that names another issuer", async () => {
    const jar = new CookieJar();
    company.next = { sub: 'a-1' };
    const url = await company.walk(await start(jar, 'company'));
    await expect(back(jar, 'evil', url.replace('/company/', '/evil/'))).rejects.toMatchObject({
      data: { reason: 'state' },
    });
    expect(await reasonOf()).toBe('mix_up');

    const other = new CookieJar();
    const answer = new URL(await company.walk(await start(other, 'company')));
    expect(answer.searchParams.get('iss')).toBe(company.issuer);
    answer.searchParams.set('iss', evil.issuer);
    await expect(back(other, 'company', answer.href)).rejects.toMatchObject({ data: { reason: 'provider' } });
    const third = new CookieJar();
    const stripped = new URL(await company.walk(await start(third, 'company')));
    stripped.searchParams.delete('iss');
    await expect(back(third, 'company', stripped.href)).rejects.toMatchObject({ data: { reason: 'provider' } });
  });

  it('auth 44: takes the same subject of another issuer for somebody else', async () => {
    evil.next = { sub: 'a-1', email: 'ada@example.com', email_verified: true };
    const jar = new CookieJar();
    const url = await evil.walk(await start(jar, 'evil'));
    await expect(back(jar, 'evil', url)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('says so when the provider refuses, is away, or is none', async () => {
    const jar = new CookieJar();
    const state = new URL(await start(jar, 'company')).searchParams.get('state');
    const refused = `${callback('company')}?error=access_denied&state=${state}&iss=${encodeURIComponent(company.issuer)}`;
    await expect(back(jar, 'company', refused)).rejects.toMatchObject({ message: 'Company did not sign you in' });
    await expect(start(jar, 'away')).rejects.toMatchObject({ code: 'UPSTREAM_FAILED' });
    await expect(start(jar, 'nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(rig.log()).not.toContain(otherClient.secret);
  });

  it('auth 52: is begun fifty times in a quarter of an hour from one address', async () => {
    const begin = () => start(new CookieJar(), 'company', { address: '198.51.100.3' });
    for (let n = 0; n < 50; n++) await begin();
    await expect(begin()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });
});
