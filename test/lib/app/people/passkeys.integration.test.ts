import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BrowserSession, BrowserSessions } from '../../../../src/lib/app/people/browser-sessions.ts';
import { Passkeys } from '../../../../src/lib/app/people/passkeys.ts';
import { Throttle } from '../../../../src/lib/app/people/throttle.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { type Fault, SoftwareAuthenticator } from '../../../helpers/authenticator.ts';
import { CookieJar } from '../../../helpers/browser.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';

let test: TestIdentity;
let sessions: BrowserSessions;
let passkeys: Passkeys;
let userId: UserId;

beforeAll(async () => {
  test = await openTestIdentity();
  const { database } = test;
  sessions = new BrowserSessions({ database, externalUrl });
  passkeys = new Passkeys({ database, sessions, throttle: new Throttle(database), externalUrl });
  userId = (await test.identity.users.ensureOwner()).id;
});
afterAll(() => test?.close());
beforeEach(() => test.owner.query('TRUNCATE passkeys, sign_in_attempts CASCADE'));

async function signedIn(user = userId): Promise<{ jar: CookieJar; session: BrowserSession }> {
  const jar = new CookieJar();
  return { jar, session: await sessions.begin(jar.request, jar.response, { userId: user, methods: ['setup_link'] }) };
}

async function registered(user = userId): Promise<SoftwareAuthenticator> {
  const authenticator = new SoftwareAuthenticator(externalUrl);
  const { jar, session } = await signedIn(user);
  const options = await passkeys.addOptions(jar.request, jar.response, session);
  await passkeys.add(jar.request, jar.response, session, { response: authenticator.create(options) });
  return authenticator;
}

async function signIn(authenticator: SoftwareAuthenticator, fault: Fault = {}, jar = new CookieJar()) {
  const options = await passkeys.signInOptions(jar.request, jar.response);
  return passkeys.signIn(jar.request, jar.response, {
    response: authenticator.get(options, fault),
    address: '192.0.2.1',
  });
}

const reasons = async (): Promise<unknown[]> => {
  const rows = await test.owner.query<{ data: { reason?: string } }>(
    "SELECT data FROM identity_events WHERE type = 'sign_in_failed' ORDER BY id",
  );
  return rows.map(({ data }) => data.reason);
};

async function anotherUser(name: string): Promise<UserId> {
  const [row] = await test.owner.query<{ id: UserId }>(
    "INSERT INTO users (name, display_name, roles) VALUES ($1, $1, '{user}') RETURNING id",
    [name],
  );
  return row?.id as UserId;
}

describe('auth 47: a passkey', () => {
  it('is made by who has just signed in, and signs in without a name from then on', async () => {
    const authenticator = new SoftwareAuthenticator(externalUrl);
    const { jar, session } = await signedIn();
    const before = jar.copy();
    const options = await passkeys.addOptions(jar.request, jar.response, session);
    expect(options).toMatchObject({
      rp: { id: 'localhost' },
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: [],
    });
    const added = await passkeys.add(jar.request, jar.response, session, {
      response: authenticator.create(options),
      name: '  My\u202e laptop\n',
    });
    expect(added).toMatchObject({ userId, name: 'My laptop', rpId: 'localhost', synced: false });
    // auth 50: the session goes on under a new id
    expect(await sessions.current(before.request)).toBeUndefined();
    expect(await sessions.current(jar.request)).toMatchObject({ sessionId: session.sessionId });

    const phone = new CookieJar();
    const asked = await passkeys.signInOptions(phone.request, phone.response);
    expect(asked).toMatchObject({ rpId: 'localhost', userVerification: 'required', allowCredentials: [] });
    await passkeys.signIn(phone.request, phone.response, { response: authenticator.get(asked) });
    expect(await sessions.current(phone.request)).toMatchObject({ userId, methods: ['passkey'] });
    expect((await passkeys.list(userId))[0]?.lastUsedAt).toBeInstanceOf(Date);
    const types = await test.owner.query<{ type: string }>('SELECT type FROM identity_events ORDER BY id');
    expect(types.map(({ type }) => type)).toEqual(['passkey_added', 'sign_in']);
  });

  it.each<[string, Fault]>([
    ['of another origin', { origin: 'http://localhost:8081' }],
    ['of another site', { rpId: 'evil.example' }],
    ['to another challenge', { challenge: Buffer.alloc(32, 7).toString('base64url') }],
    ['without the user verified', { flags: 1 }],
    ['without the user present', { flags: 4 }],
    ['of another kind', { type: 'webauthn.create' }],
    ['in the frame of another site', { crossOrigin: true }],
    ['signed by another key', { signWith: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
    ['of another user', { userHandle: Buffer.alloc(16).toString('base64url') }],
  ])('is refused with an answer %s', async (_what, fault) => {
    const authenticator = await registered();
    await expect(signIn(authenticator, fault)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'This passkey was not accepted',
    });
  });

  it.each<[string, Fault]>([
    ['of another origin', { origin: 'https://localhost:8080' }],
    ['of another site', { rpId: 'evil.example' }],
    ['to another challenge', { challenge: Buffer.alloc(32, 7).toString('base64url') }],
    ['without the user verified', { flags: 1 }],
  ])('is not added with an answer %s', async (_what, fault) => {
    const authenticator = new SoftwareAuthenticator(externalUrl);
    const { jar, session } = await signedIn();
    const options = await passkeys.addOptions(jar.request, jar.response, session);
    const response = authenticator.create(options, fault);
    await expect(passkeys.add(jar.request, jar.response, session, { response })).rejects.toMatchObject({
      message: 'The passkey was not added',
    });
    expect(await passkeys.list(userId)).toEqual([]);
  });

  it('answers a challenge once, within five minutes, in the browser that asked', async () => {
    const authenticator = await registered();
    const jar = new CookieJar();
    const options = await passkeys.signInOptions(jar.request, jar.response);
    const asked = jar.copy();
    const thief = new CookieJar();
    sessions.browser(thief.request, thief.response);
    const elsewhere = passkeys.signIn(thief.request, thief.response, { response: authenticator.get(options) });
    await expect(elsewhere).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await passkeys.signIn(jar.request, jar.response, { response: authenticator.get(options) });
    const again = passkeys.signIn(asked.request, asked.response, { response: authenticator.get(options) });
    await expect(again).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });

    const late = new CookieJar();
    const old = await passkeys.signInOptions(late.request, late.response);
    await test.owner.query("UPDATE sign_in_steps SET expires_at = expires_at - interval '5 minutes'");
    const response = authenticator.get(old);
    await expect(passkeys.signIn(late.request, late.response, { response })).rejects.toThrow();
  });

  it('whose count goes back is a copy: refused, and on record', async () => {
    const authenticator = await registered();
    await signIn(authenticator, { counter: 9 });
    for (const counter of [9, 3, 0]) await expect(signIn(authenticator, { counter })).rejects.toThrow('not accepted');
    expect((await reasons()).slice(-3)).toEqual(['counter_rollback', 'counter_rollback', 'counter_rollback']);
    await signIn(authenticator, { counter: 10 });
  });

  it('that does not count works each time', async () => {
    const authenticator = new SoftwareAuthenticator(externalUrl);
    const { jar, session } = await signedIn();
    const options = await passkeys.addOptions(jar.request, jar.response, session);
    const response = authenticator.create(options, { counter: 0 });
    await passkeys.add(jar.request, jar.response, session, { response });
    for (const _ of [1, 2]) expect(await signIn(authenticator, { counter: 0 })).toMatchObject({ userId });
  });

  it("is one user's: a second user can't register it, nor finish the first one's registration", async () => {
    const other = await anotherUser('second');
    const authenticator = new SoftwareAuthenticator(externalUrl);
    const mine = await signedIn();
    const options = await passkeys.addOptions(mine.jar.request, mine.jar.response, mine.session);
    const theirs = await sessions.begin(mine.jar.copy().request, new CookieJar().response, {
      userId: other,
      methods: ['passkey'],
    });
    const response = authenticator.create(options);
    const stolen = passkeys.add(mine.jar.request, mine.jar.response, theirs, { response });
    await expect(stolen).rejects.toThrow('not added');

    const known = await registered();
    const { jar, session } = await signedIn(other);
    const asked = await passkeys.addOptions(jar.request, jar.response, session);
    const copied = known.create(asked);
    const [first] = known.credentials;
    await test.owner.query('UPDATE passkeys SET credential_id = $1 WHERE credential_id = $2', [
      Buffer.from(copied.id, 'base64url'),
      first?.id,
    ]);
    const twice = passkeys.add(jar.request, jar.response, session, { response: copied });
    await expect(twice).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('of a suspended user lets nobody in', async () => {
    const user = await anotherUser('suspended');
    const authenticator = await registered(user);
    await test.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [user]);
    await expect(signIn(authenticator)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('auth 50: takes the sessions along that were begun with it, and no others', async () => {
    const authenticator = await registered();
    const jar = new CookieJar();
    await signIn(authenticator, {}, jar);
    const { jar: otherJar, session } = await signedIn();
    const [passkey] = await passkeys.list(userId);
    await passkeys.remove(session, passkey?.id ?? '');
    expect(await sessions.current(jar.request)).toBeUndefined();
    expect(await sessions.current(otherJar.request)).toBeDefined();
    await expect(signIn(authenticator)).rejects.toThrow('not accepted');
    await expect(passkeys.remove(session, passkey?.id ?? '')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it("auth 51: is neither added nor removed by a sign-in that is a while ago, nor another's renamed", async () => {
    await registered();
    const { jar, session } = await signedIn();
    const old = { ...session, authTime: new Date(Date.now() - 11 * 60_000) };
    const [passkey] = await passkeys.list(userId);
    for (const work of [passkeys.addOptions(jar.request, jar.response, old), passkeys.remove(old, passkey?.id ?? '')]) {
      await expect(work).rejects.toMatchObject({ data: { reason: 'recent_authentication' } });
    }
    const other = await anotherUser('renamer');
    await expect(passkeys.rename(other, passkey?.id ?? '', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await passkeys.rename(userId, passkey?.id ?? '', 'Work');
    expect((await passkeys.list(userId))[0]).toMatchObject({ name: 'Work' });
  });

  it('auth 52: locks its account for a while after ten wrong answers, for right ones too', async () => {
    const authenticator = await registered();
    for (let n = 0; n < 10; n++) await expect(signIn(authenticator, { flags: 1 })).rejects.toThrow('not accepted');
    await expect(signIn(authenticator)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await test.owner.query("UPDATE sign_in_attempts SET ends_at = now() - interval '1 second'");
    await signIn(authenticator);
  });
});
