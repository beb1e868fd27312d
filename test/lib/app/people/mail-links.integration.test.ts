import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { followOutbox } from '../../../../src/lib/infra/mail/outbox.ts';
import { CookieJar } from '../../../helpers/browser.ts';
import { openTestPeople, type TestPeople } from '../../../helpers/people.ts';
import { until } from '../../../helpers/until.ts';

/** A mail server on a real socket that keeps what it is given. */
async function startMailServer() {
  const mails: { readonly from: string; readonly to: string[]; readonly text: string }[] = [];
  let refuses = false;
  const server = new SMTPServer({
    authOptional: false,
    allowInsecureAuth: true,
    hideSTARTTLS: true,
    onAuth: ({ username, password }, _session, done) =>
      username === 'sender' && password === 'pass word' ? done(null, { user: username }) : done(new Error('no')),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (refuses) return done(new Error('not today'));
        const { mailFrom, rcptTo } = session.envelope;
        const text = Buffer.concat(chunks).toString('utf8').replaceAll('=\r\n', '').replaceAll('=3D', '=');
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map((each) => each.address), text });
        done();
      });
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;
  return {
    mails,
    port,
    refuse: (value: boolean) => {
      refuses = value;
    },
    close: () => new Promise<void>((done) => server.close(() => done())),
  };
}

let smtp: Awaited<ReturnType<typeof startMailServer>>;
let rig: TestPeople;

beforeAll(async () => {
  smtp = await startMailServer();
  rig = await openTestPeople(
    { mail: { smtp: { url: '${secret:mail.smtp}', from: 'systemprompt <no-reply@example.com>' } } },
    { secrets: { 'mail.smtp': `smtp://sender:pass%20word@127.0.0.1:${smtp.port}` } },
  );
  await rig.user('ada', 'ada@example.com');
});
afterAll(async () => {
  await rig?.close();
  await smtp?.close();
});
beforeEach(() => rig.test.owner.query('TRUNCATE sign_in_attempts'));

const request = (jar: CookieJar, mail: string, address?: string, returnTo?: string) =>
  rig.people.mailLinks.request(jar.request, jar.response, { mail, address, returnTo });
const redeem = (jar: CookieJar, token: string, address?: string) =>
  rig.people.mailLinks.redeem(jar.request, jar.response, { token, address });

/** Asks for a link and takes it from the mail. */
async function link(jar: CookieJar, mail = 'ada@example.com', returnTo?: string): Promise<string> {
  const before = smtp.mails.length;
  await request(jar, mail, undefined, returnTo);
  await until('the mail is there', () => smtp.mails.length > before);
  return /\/auth\/link\?token=([A-Za-z0-9_-]{43})\s/.exec(smtp.mails.at(-1)?.text ?? '')?.[1] ?? '';
}

describe('auth 48: a link by mail', () => {
  it('goes to the user, and signs in once in the browser that asked', async () => {
    const jar = new CookieJar();
    const token = await link(jar, '  ADA@example.com ', '/auth/interaction/x');
    expect(smtp.mails.at(-1)).toMatchObject({ from: 'no-reply@example.com', to: ['ada@example.com'] });
    const again = jar.copy();
    expect(await redeem(jar, token)).toMatchObject({
      session: { userName: 'ada', methods: ['mail_link'] },
      returnTo: '/auth/interaction/x',
    });
    expect(await rig.people.sessions.current(jar.request)).toMatchObject({ userName: 'ada' });
    await expect(redeem(again, token)).rejects.toMatchObject({ message: 'This link does not work here' });
    const [verified] = await rig.test.owner.query("SELECT email_verified_at FROM users WHERE name = 'ada'");
    expect(verified).toEqual({ email_verified_at: expect.any(Date) });
  });

  it('signs in once of eight that try at the same time', async () => {
    const jar = new CookieJar();
    const token = await link(jar);
    const jars = Array.from({ length: 8 }, () => jar.copy());
    const results = await Promise.allSettled(jars.map((each) => redeem(each, token)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is of no use in another browser, and stays good for its own', async () => {
    const jar = new CookieJar();
    const token = await link(jar);
    const other = new CookieJar();
    await expect(redeem(other, token)).rejects.toThrow('This link does not work here');
    rig.people.sessions.browser(other.request, other.response);
    await expect(redeem(other, token)).rejects.toThrow('This link does not work here');
    await redeem(jar, token);
  });

  it('is over after ten minutes', async () => {
    const jar = new CookieJar();
    const token = await link(jar);
    await rig.test.owner.query("UPDATE sign_in_steps SET expires_at = expires_at - interval '10 minutes'");
    await expect(redeem(jar, token)).rejects.toThrow('This link does not work here');
  });

  it("is of no use when the address is not the user's any more", async () => {
    const id = await rig.user('moved', 'old@example.com');
    const jar = new CookieJar();
    const token = await link(jar, 'old@example.com');
    await rig.test.owner.query("UPDATE users SET email = 'new@example.com' WHERE id = $1", [id]);
    await expect(redeem(jar, token)).rejects.toThrow('This link does not work here');
  });

  it('is asked for with the same answer whether or not somebody has the address', async () => {
    const answers = [];
    for (const mail of ['ada@example.com', 'nobody@example.com', 'no address', 'ADA@EXAMPLE.COM']) {
      const jar = new CookieJar();
      const began = performance.now();
      const answer = await request(jar, mail);
      answers.push({ answer, cookies: [...jar.all.keys()], slow: performance.now() - began > 500 });
    }
    expect(new Set(answers.map((each) => JSON.stringify(each))).size).toBe(1);
    // What is answered waits for nothing that depends on the address: not even for a mail server that hangs.
    await rig.people.mailLinks.request(new CookieJar().request, new CookieJar().response, { mail: 'ada@example.com' });
  });

  it('sends nothing to unknown addresses and to suspended users', async () => {
    const id = await rig.user('banned', 'banned@example.com');
    await rig.test.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [id]);
    const before = smtp.mails.length;
    await request(new CookieJar(), 'nobody@example.com');
    await request(new CookieJar(), 'banned@example.com');
    await link(new CookieJar());
    // Those of the test before may still be on their way.
    expect(new Set(smtp.mails.slice(before).flatMap(({ to }) => to))).toEqual(new Set(['ada@example.com']));
  });

  it('auth 22: is kept as a hash, and is in neither log nor events', async () => {
    const jar = new CookieJar();
    const token = await link(jar);
    const kept = JSON.stringify([
      await rig.test.owner.query('SELECT *, hash::text FROM sign_in_steps'),
      await rig.test.owner.query('SELECT * FROM identity_events'),
    ]);
    expect(kept).not.toContain(token);
    expect(kept).not.toContain(Buffer.from(token).toString('hex'));
    expect(rig.log()).not.toContain(token);
  });

  it('that a mail server refuses is told in the log, and the next one is sent', async () => {
    smtp.refuse(true);
    await request(new CookieJar(), 'ada@example.com');
    await until('it is logged', () => rig.log().includes('could not be sent'));
    expect(rig.log()).not.toContain('pass word');
    smtp.refuse(false);
    expect(await link(new CookieJar())).not.toBe('');
  });
});

describe('auth 52: links by mail', () => {
  it('are sent five times in a quarter of an hour to one address, with the same answer to whoever asks for more', async () => {
    await rig.user('flooded', 'flooded@example.com');
    const before = smtp.mails.length;
    for (let n = 0; n < 7; n++) await request(new CookieJar(), 'flooded@example.com', `192.0.2.${n}`);
    const sent = () => smtp.mails.slice(before).filter(({ to }) => to[0] === 'flooded@example.com').length;
    const refused = () => rig.log().split('Too many mails').length - 1;
    await until('each was sent or refused', () => sent() + refused() >= 7);
    expect([sent(), refused()]).toEqual([5, 2]);
  });

  it('are asked for and tried out twenty times from one address', async () => {
    const ask = () => request(new CookieJar(), 'nobody@example.com', '198.51.100.7');
    for (let n = 0; n < 20; n++) await ask();
    await expect(ask()).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      data: { retry_after_seconds: expect.any(Number) },
    });

    const guess = () => redeem(new CookieJar(), 'x'.repeat(43), '198.51.100.8');
    for (let n = 0; n < 20; n++) await expect(guess()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    // Right or wrong: neither is looked at.
    const jar = new CookieJar();
    const token = await link(jar);
    await expect(redeem(jar, token, '198.51.100.8')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await redeem(jar, token, '198.51.100.9');
  });

  it('do not open an account that is locked', async () => {
    const jar = new CookieJar();
    const token = await link(jar);
    const [user] = await rig.test.owner.query<{ id: string }>("SELECT id FROM users WHERE name = 'ada'");
    for (let n = 0; n < 10; n++) await rig.people.throttle.take('passkey', { account: user?.id });
    await expect(redeem(jar, token)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });
});

describe('Without a mail server', () => {
  it('links are in files that only this account can read, and the log says where', async () => {
    const local = await openTestPeople();
    try {
      await local.user('ada', 'ada@example.com');
      const told: { to: string; link: string }[] = [];
      const unfollow = followOutbox(local.outbox, (mail) => told.push(mail));
      const jar = new CookieJar();
      await local.people.mailLinks.request(jar.request, jar.response, { mail: 'ada@example.com' });
      await until('the terminal hears of it', () => told.length > 0);
      unfollow();
      expect(told).toEqual([
        { to: 'ada@example.com', link: expect.stringMatching(/^http:\/\/localhost:8080\/auth\/link\?token=\S{43}$/) },
      ]);
      await until('the log says so', () => local.log().includes('outbox'));
      const [name = ''] = await readdir(local.outbox);
      const file = join(local.outbox, name);
      expect([(await stat(local.outbox)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600]);
      const mail = await readFile(file, 'utf8');
      expect(mail).toMatch(/^To: ada@example\.com\nSubject: Sign in to localhost:8080\n/);
      const token = /token=([A-Za-z0-9_-]{43})\n/.exec(mail)?.[1] ?? '';
      expect(local.log()).not.toContain(token);
      await local.people.mailLinks.redeem(jar.request, jar.response, { token });
    } finally {
      await local.close();
    }
  });

  it('there are none in production', async () => {
    const production = await openTestPeople({ runtime: { environment: 'production' } });
    try {
      expect(production.people.mailLinks.available).toBe(false);
      const jar = new CookieJar();
      const ask = production.people.mailLinks.request(jar.request, jar.response, { mail: 'ada@example.com' });
      await expect(ask).rejects.toMatchObject({ code: 'PRECONDITION' });
    } finally {
      await production.close();
    }
  });
});
