import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkForUser } from '../../../../src/lib/app/people/link-for-user.ts';
import { createSetupLink } from '../../../../src/lib/app/people/setup-links.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { SoftwareAuthenticator } from '../../../helpers/authenticator.ts';
import { CookieJar } from '../../../helpers/browser.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { openTestPeople, type TestPeople } from '../../../helpers/people.ts';

let rig: TestPeople;
let owner: UserId;

beforeAll(async () => {
  rig = await openTestPeople();
  owner = (await rig.test.identity.users.ensureOwner()).id;
});
afterAll(() => rig?.close());

const create = (userId = owner) => createSetupLink(rig.test.database, externalUrl, { userId });
const tokenOf = (url: string): string => new URL(url).searchParams.get('token') ?? '';
const redeem = (jar: CookieJar, token: string, address?: string) =>
  rig.people.setupLinks.redeem(jar.request, jar.response, { token, address });

describe('A setup link', () => {
  it('is made for the owner as long as there is nothing to sign in with', async () => {
    const link = await rig.test.identity.ownerLink();
    expect(link).toMatchObject({ purpose: 'setup' });
    const jar = new CookieJar();
    const session = await redeem(jar, tokenOf(link?.url ?? ''));
    const { passkeys } = rig.people;
    const options = await passkeys.addOptions(jar.request, jar.response, session);
    const response = new SoftwareAuthenticator(externalUrl).create(options);
    const { id } = await passkeys.add(jar.request, jar.response, session, { response });
    expect(await rig.test.identity.ownerLink()).toBeUndefined();
    await passkeys.remove(session, id);
  });

  it('is made by an admin for any person who may sign in, and by nobody else', async () => {
    const ada = await rig.user('ada', 'ada@example.com');
    const admin = { userId: owner, userName: 'owner', scopes: ['admin'], permission: 'admin' as const };
    const ask = (handle: string | undefined, actor: Parameters<typeof linkForUser>[1]['actor'] = admin) =>
      linkForUser(rig.test.database, { actor, externalUrl, handle });
    const { link, user } = await ask('ADA@example.com');
    expect(user).toBe('ada');
    expect((await redeem(new CookieJar(), tokenOf(link.url))).userId).toBe(ada);
    const [sent] = await rig.test.owner.query(
      "SELECT actor_id FROM identity_events WHERE type = 'link_sent' AND user_id = $1",
      [ada],
    );
    expect(sent).toEqual({ actor_id: owner });
    expect((await ask(undefined)).user).toBe('owner');
    await expect(ask('ada', { ...admin, permission: 'user' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(ask('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await rig.test.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [ada]);
    await expect(ask('ada')).rejects.toMatchObject({ code: 'PRECONDITION' });
  });

  it('lets its user in once, to make the first passkey', async () => {
    const { url, purpose, expiresAt } = await create();
    expect(url).toMatch(/^http:\/\/localhost:8080\/auth\/owner\?token=[A-Za-z0-9_-]{43}$/);
    expect(purpose).toBe('setup');
    expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(23.9 * 3_600_000);
    const jar = new CookieJar();
    const session = await redeem(jar, tokenOf(url));
    expect(session).toMatchObject({ userName: 'owner', methods: ['setup_link'] });
    const { passkeys } = rig.people;
    const options = await passkeys.addOptions(jar.request, jar.response, session);
    const response = new SoftwareAuthenticator(externalUrl).create(options);
    await passkeys.add(jar.request, jar.response, session, { response });
    await expect(redeem(new CookieJar(), tokenOf(url))).rejects.toMatchObject({ data: { reason: 'link' } });
    expect((await create()).purpose).toBe('recovery');
  });

  it('signs in once of eight that try at the same time', async () => {
    const token = tokenOf((await create()).url);
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => redeem(new CookieJar(), token)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is worth nothing once there is a newer one, or after a day', async () => {
    const first = tokenOf((await create()).url);
    const second = tokenOf((await create()).url);
    await expect(redeem(new CookieJar(), first)).rejects.toThrow('does not work any more');
    await rig.test.owner.query("UPDATE sign_in_steps SET expires_at = expires_at - interval '24 hours'");
    await expect(redeem(new CookieJar(), second)).rejects.toThrow('does not work any more');
  });

  it('auth 22: is kept as a hash and stands in no event', async () => {
    const token = tokenOf((await create()).url);
    const steps = await rig.test.owner.query('SELECT *, hash::text FROM sign_in_steps');
    const events = await rig.test.owner.query('SELECT * FROM identity_events');
    expect(JSON.stringify([steps, events])).not.toContain(token);
    expect((await rig.events('link_sent')).at(-1)).toMatchObject({ user_id: owner, data: { purpose: 'recovery' } });
  });

  it('auth 52: is guessed at twenty times from one address', async () => {
    const guess = () => redeem(new CookieJar(), 'x'.repeat(43), '198.51.100.1');
    for (let n = 0; n < 20; n++) await expect(guess()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(guess()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });
});
