import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
