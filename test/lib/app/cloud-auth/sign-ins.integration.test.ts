import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeviceCode, grantByBrowser, grantByDevice } from '../../../../src/lib/app/cloud-auth/grants.ts';
import { discoverInstance, type InstanceServer } from '../../../../src/lib/app/cloud-auth/server.ts';
import { CloudSignIns } from '../../../../src/lib/app/cloud-auth/sign-ins.ts';
import { SignInStore } from '../../../../src/lib/infra/config/sign-in-store.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, openOAuthRig } from '../../../helpers/oauth-rig.ts';

const programs = fileURLToPath(new URL('../../../fixtures/keychain', import.meta.url));
const never = new AbortController().signal;

let rig: OAuthRig;
let home: string;
let server: InstanceServer;
let ada: UserId;
let browser: CookieBrowser;
const asked = () => ({ scopes: server.scopes, signal: never });

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sp-sign-ins-'));
  rig = await openOAuthRig();
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
  server = await discoverInstance(rig.url);
});
afterAll(async () => {
  await rig?.close();
  await rm(home, { recursive: true, force: true });
});

/** A user of their own, on a machine without a key chain. */
function computer(
  name: string,
  env: NodeJS.ProcessEnv = {},
): { readonly store: SignInStore; readonly signIns: CloudSignIns } {
  const store = new SignInStore({ ...env, XDG_CONFIG_HOME: join(home, name) }, 'linux');
  return { store, signIns: new CloudSignIns(store) };
}

/** Goes where the command sends the browser, agrees, and comes to the address on loopback. */
async function person(address: URL): Promise<Response> {
  const end = await rig.answer(browser, await browser.follow(address.href));
  return await fetch(end.headers.location ?? 'none:');
}

async function signedIn(name: string, env: NodeJS.ProcessEnv = {}) {
  const at = computer(name, env);
  const granted = await grantByBrowser(server, asked(), async (url) => void person(url));
  await at.signIns.keep(server, 'browser', granted);
  return at;
}

const connects = (port: number, host: string): Promise<boolean> =>
  new Promise((done) => {
    const socket = createConnection({ port, host });
    socket.once('error', () => done(false));
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
  });

describe('the browser on loopback', () => {
  it('auth 39: signs in with one request to 127.0.0.1 alone, and closes the port', async () => {
    const { store, signIns } = computer('browser');
    let redirect = new URL('none:');
    const seen: Promise<unknown>[] = [];
    const granted = await grantByBrowser(server, asked(), async (address) => {
      expect(address.searchParams.get('code_challenge_method')).toBe('S256');
      redirect = new URL(address.searchParams.get('redirect_uri') ?? '');
      expect(redirect.hostname).toBe('127.0.0.1');
      const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
      for (const { address: host, internal } of others) {
        if (!internal) expect(await connects(Number(redirect.port), host), host).toBe(false);
      }
      // Neither another path, nor another method, nor another name of this machine decides anything.
      expect((await fetch(new URL('/favicon.ico', redirect))).status).toBe(404);
      expect((await fetch(redirect, { method: 'POST' })).status).toBe(404);
      expect(
        (await fetch(`http://localhost:${redirect.port}/callback?code=x`).catch(() => ({ status: 404 }))).status,
      ).toBe(404);
      seen.push(
        person(address).then(async (page) => [page.status, await page.text(), page.headers.get('referrer-policy')]),
      );
    });
    expect(await seen[0]).toEqual([200, expect.stringContaining('You are signed in'), 'no-referrer']);
    expect(await connects(Number(redirect.port), '127.0.0.1')).toBe(false);

    const kept = await signIns.keep(server, 'browser', granted);
    expect(kept).toMatchObject({ user: 'ada', userId: ada, scopes: ['user'], by: 'browser', kept: 'file' });
    expect((await stat(store.file)).mode & 0o777).toBe(0o600);
    const who = await signIns.whoAmI(rig.url);
    expect(who).toMatchObject({
      user: 'ada',
      client: 'systemprompt-cli',
      issuer: rig.url,
      resource: `${rig.url}/api/v1`,
    });
  });

  it.each([
    ['another state', { state: 'guessed' }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['no issuer', { iss: undefined }],
    ['no state', { state: undefined }],
  ])('auth 39: an answer with %s is refused, decides, and no second one is heard', async (_, change) => {
    let port = 0;
    const pages: Promise<number>[] = [];
    const outcome = grantByBrowser(server, asked(), async (address) => {
      const end = await rig.answer(browser, await browser.follow(address.href));
      const location = new URL(end.headers.location ?? 'none:');
      port = Number(location.port);
      for (const [name, value] of Object.entries(change)) {
        if (value === undefined) location.searchParams.delete(name);
        else location.searchParams.set(name, value);
      }
      pages.push(fetch(location).then(({ status }) => status));
    });
    await expect(outcome).rejects.toMatchObject({ code: 'PRECONDITION', data: { reason: 'answer' } });
    expect(await pages[0]).toBe(400);
    expect(await connects(port, '127.0.0.1')).toBe(false);
  });

  it('says so when the person says no, or the command is interrupted', async () => {
    const no = grantByBrowser(server, asked(), async (address) => {
      const back = new URL(address.searchParams.get('redirect_uri') ?? '');
      back.search = String(
        new URLSearchParams({ error: 'access_denied', state: address.searchParams.get('state') ?? '', iss: rig.url }),
      );
      void fetch(back);
    });
    await expect(no).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const stop = new AbortController();
    let port = 0;
    const stopped = grantByBrowser(server, { ...asked(), signal: stop.signal }, async (address) => {
      port = Number(new URL(address.searchParams.get('redirect_uri') ?? '').port);
      stop.abort();
    });
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await connects(port, '127.0.0.1')).toBe(false);
  });
});

describe('a code for another device', () => {
  it('signs in once somebody has agreed to it, and can be interrupted', async () => {
    const { signIns } = computer('device');
    const stop = new AbortController();
    const stopped = grantByDevice(
      server,
      { ...asked(), signal: stop.signal },
      () => setImmediate(() => stop.abort()),
      1,
    );
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });

    const codes: DeviceCode[] = [];
    const granted = await grantByDevice(
      server,
      asked(),
      (code) => {
        codes.push(code);
        void enter(code);
      },
      1,
    );
    expect(codes[0]).toMatchObject({
      address: `${rig.url}/auth/device`,
      userCode: expect.stringMatching(/^\w{4}-\w{4}$/),
    });
    expect(await signIns.keep(server, 'device', granted)).toMatchObject({ user: 'ada', by: 'device' });
  });

  /** As the page does it: the code, then the confirmation, then consent. */
  async function enter({ userCode }: DeviceCode): Promise<void> {
    const form = (await browser.follow('/auth/device')).json() as { action: string; xsrf: string };
    const shown = await browser.ask('/auth/device', { form: { user_code: userCode, xsrf: form.xsrf } });
    const { xsrf } = shown.json() as { xsrf: string };
    const answer = await browser.follow('/auth/device', { form: { user_code: userCode, xsrf, confirm: 'yes' } });
    await rig.answer(browser, answer);
  }
});

describe('a kept sign-in', () => {
  it('auth 17: is renewed by one of several commands at once, and survives it', async () => {
    const { store, signIns } = await signedIn('renewed');
    const before = await store.find(rig.url);
    const others = [signIns, ...[1, 2, 3].map(() => computer('renewed').signIns)];
    const tokens = await Promise.all(others.map((each) => each.token(rig.url, before?.tokens.access)));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(before?.tokens.access);
    const after = await store.find(rig.url);
    expect(after?.tokens.refresh).not.toBe(before?.tokens.refresh);
    expect(after).toMatchObject({ session: before?.session, signedInAt: before?.signedInAt, by: 'browser' });
    expect(await signIns.whoAmI(rig.url)).toMatchObject({ user: 'ada', session: before?.session });
  });

  it('is ended at the server and forgotten, and one that was ended there is forgotten too', async () => {
    const { store, signIns } = await signedIn('ended');
    const kept = await store.find(rig.url);
    expect(await signIns.end(rig.url)).toEqual({ signIn: expect.objectContaining({ user: 'ada' }) });
    expect(await store.find(rig.url)).toBeUndefined();
    expect(await readFile(store.file, 'utf8')).not.toContain('access');
    const [row] = await rig.owner.query('SELECT revoked_at FROM user_sessions WHERE id = $1', [kept?.session]);
    expect(row).toMatchObject({ revoked_at: expect.any(Date) });
    expect(await signIns.end(rig.url)).toBeUndefined();
    await expect(signIns.whoAmI(rig.url)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });

    const other = await signedIn('ended-there');
    const there = await other.store.find(rig.url);
    await rig.owner.query('UPDATE user_sessions SET revoked_at = now() WHERE id = $1', [there?.session]);
    await expect(other.signIns.token(rig.url, there?.tokens.access)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('is over'),
    });
    expect(await other.store.find(rig.url)).toBeUndefined();
  });

  it('gives way to the next one to the same instance, which ends it', async () => {
    const { store } = await signedIn('twice');
    const first = await store.find(rig.url);
    await signedIn('twice');
    const second = await store.find(rig.url);
    expect(second?.session).not.toBe(first?.session);
    const rows = await rig.owner.query<{ id: string }>(
      'SELECT id FROM user_sessions WHERE id = ANY($1) AND revoked_at IS NULL',
      [[first?.session, second?.session]],
    );
    expect(rows.map(({ id }) => id)).toEqual([second?.session]);
  });

  it('auth 39: keeps its tokens in the key chain where there is one, else in the file', async () => {
    const chain = {
      PATH: `${programs}:${process.env['PATH']}`,
      HOME: await mkdtemp(join(home, 'chain-')),
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
    };
    const { store } = await signedIn('chain', chain);
    const kept = await store.find(rig.url);
    expect(kept).toMatchObject({ kept: 'keychain', tokens: { refresh: expect.any(String) } });
    expect(await readFile(store.file, 'utf8')).not.toContain(kept?.tokens.refresh);
    await store.remove(rig.url);
    expect(await store.find(rig.url)).toBeUndefined();
    const without = await signedIn('no-chain', { PATH: home, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' });
    expect(await without.store.find(rig.url)).toMatchObject({ kept: 'file' });
  });
});
