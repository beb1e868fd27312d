import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  auth,
  type OAuthClientInformationMixed,
  type OAuthClientProvider,
  type OAuthTokens,
} from '@modelcontextprotocol/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oauthPages } from '../../src/entry/api/pages/oauth.ts';
import { PersonalTokens } from '../../src/lib/app/access/tokens.ts';
import { createSetupLink } from '../../src/lib/app/people/setup-links.ts';
import { accessibilityFaults } from '../helpers/accessibility.ts';
import { addAuthenticator, launchChromium, openContext, screenshot } from '../helpers/chromium.ts';
import { type OAuthRig, oauthBase, openOAuthRig, webRedirect } from '../helpers/oauth-rig.ts';
import { until } from '../helpers/until.ts';

let rig: OAuthRig;
let browser: Browser;
/** The owner's browser, from the first link on. */
let context: BrowserContext;
let tab: Page;
/** Where the application on the user's machine is answered. */
let callback: Server;
let answers: URL[];
/** What browsers complained about. */
const complaints: string[] = [];

beforeAll(async () => {
  answers = [];
  callback = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://127.0.0.1');
    if (url.pathname === '/callback') answers.push(url);
    response.writeHead(200, { 'content-type': 'text/html' }).end('<title>back</title>');
  });
  await new Promise<void>((done) => callback.listen(0, '127.0.0.1', done));
  [rig, browser] = await Promise.all([openOAuthRig({ pages: oauthPages, people: true }), launchChromium()]);
  context = await openContext(browser, { colorScheme: 'dark' });
  tab = await open(context);
  await addAuthenticator(tab);
});
afterAll(async () => {
  await browser?.close();
  callback?.close();
  await rig?.close();
});

/** A tab whose complaints fail the test at the end. */
async function open(of: BrowserContext): Promise<Page> {
  const page = await of.newPage();
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
  });
  return page;
}

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).click();
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor();

/** A client as the official SDK wants it, that keeps everything in memory. */
function application(): OAuthClientProvider & {
  readonly url: URL | undefined;
  readonly kept: OAuthTokens | undefined;
} {
  const client: OAuthClientInformationMixed = { client_id: 'notes' };
  let verifier = '';
  const redirectUrl = `http://127.0.0.1:${(callback.address() as AddressInfo).port}/callback`;
  const self = {
    url: undefined as URL | undefined,
    kept: undefined as OAuthTokens | undefined,
    redirectUrl,
    clientMetadata: {
      client_name: 'Notes <i>helper</i>',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    clientInformation: () => client,
    tokens: () => self.kept,
    saveTokens: (tokens: OAuthTokens) => {
      self.kept = tokens;
    },
    redirectToAuthorization: (url: URL) => {
      self.url = url;
    },
    saveCodeVerifier: (value: string) => {
      verifier = value;
    },
    codeVerifier: () => verifier,
  };
  return self;
}

const alpha = () => rig.audience('alpha');
/** Whether the server `alpha` takes the token. */
const works = (token: string | undefined): Promise<boolean> =>
  rig.identity.verifier.verify(token ?? '', alpha()).then(
    () => true,
    () => false,
  );

describe('the owner', () => {
  it('comes in by the first link, makes a passkey, and lands on the account', async () => {
    const owner = await rig.identity.users.ensureOwner();
    const link = await createSetupLink(rig.database, rig.url, { userId: owner.id });
    await tab.goto(link.url);
    await heading(tab, 'Sign in here?');
    await press(tab, 'Sign in');
    await heading(tab, 'Welcome: this instance is yours');
    await screenshot(tab, 'flow-1-owner');
    await tab.getByLabel('Name of the passkey').fill('Laptop');
    await press(tab, 'Make a passkey');
    await heading(tab, 'Your account');
    await tab.getByText('The passkey is added.').waitFor();
    await tab.getByText('Laptop').waitFor();
    await screenshot(tab, 'flow-2-account');
    expect(await accessibilityFaults(tab)).toEqual([]);
    const used = await open(context);
    await used.goto(link.url);
    await press(used, 'Sign in');
    await heading(used, 'This link does not work');
    await used.close();
  });

  it('signs out, and in again by the passkey', async () => {
    await press(tab, 'Sign out');
    await heading(tab, 'You are signed out');
    await tab.goto(`${rig.url}/auth/account`);
    await heading(tab, 'Sign in');
    // What is offered where a name is filled in this authenticator takes by itself.
    await heading(tab, 'Your account');
    expect(await tab.getByText('this one').count()).toBe(1);
  });

  it('signs in by the button where the browser offers nothing by itself', async () => {
    await press(tab, 'Sign out');
    await heading(tab, 'You are signed out');
    await tab.addInitScript('PublicKeyCredential.isConditionalMediationAvailable = async () => false');
    await tab.goto(`${rig.url}/auth/account`);
    await press(tab, 'Sign in with a passkey');
    await heading(tab, 'Your account');
  });
});

describe('an MCP client', () => {
  let client: ReturnType<typeof application>;
  beforeAll(async () => {
    client = application();
    // As one that registered itself.
    const { client_name: name, ...metadata } = client.clientMetadata;
    await rig.owner.query("INSERT INTO oauth_clients (id, kind, name, metadata) VALUES ('notes', 'dynamic', $1, $2)", [
      name,
      JSON.stringify(metadata),
    ]);
  });

  it('is asked about, in plain words, and gets what was allowed', async () => {
    expect(await auth(client, { serverUrl: alpha(), scope: 'user alpha:read alpha:wipe' })).toBe('REDIRECT');
    await tab.goto(String(client.url));
    await heading(tab, 'Allow Notes <i>helper</i>?');
    await screenshot(tab, 'flow-4-consent');
    expect(await accessibilityFaults(tab)).toEqual([]);
    await tab.getByText('Nobody here has checked this application.').waitFor();
    await tab.getByText('The answer goes to a program on your own device.').waitFor();
    const ticked = async (name: string | RegExp) => tab.getByRole('checkbox', { name }).isChecked();
    expect([await ticked(/alpha:read/), await ticked(/alpha:wipe/)]).toEqual([true, false]);
    await press(tab, 'Allow');
    await until('the application was answered', () => answers.length === 1, 5_000);
    const code = answers[0]?.searchParams.get('code') ?? '';
    expect(answers[0]?.searchParams.get('iss')).toBe(rig.url);
    expect(await auth(client, { serverUrl: alpha(), authorizationCode: code, iss: rig.url })).toBe('AUTHORIZED');
    expect(client.kept?.scope?.split(' ').sort()).toEqual(['alpha:read', 'user']);
    expect(await works(client.kept?.access_token)).toBe(true);
  });

  it('is told when the user says no', async () => {
    const { address } = rig.request({
      client_id: 'cli',
      redirect_uri: `http://127.0.0.1:${(callback.address() as AddressInfo).port}/callback`,
    });
    await tab.goto(`${rig.url}${address}`);
    await press(tab, 'Deny');
    await until('the application was answered', () => answers.length === 2, 5_000);
    expect(answers[1]?.searchParams.get('error')).toBe('access_denied');
  });

  it('is disconnected on the account page, and at once can do nothing any more', async () => {
    await tab.goto(`${rig.url}/auth/account`);
    await screenshot(tab, 'flow-5-connected');
    await press(tab, 'Disconnect Notes <i>helper</i>');
    await tab.getByText('The application is disconnected.').waitFor();
    await tab.getByText('No application acts in your name.').waitFor();
    await until('the token is refused', async () => !(await works(client.kept?.access_token)), 5_000);
  });
});

describe('a token of a program', () => {
  it('is listed with what it may, and revoked', async () => {
    const { id: userId, name: userName } = await rig.identity.users.ensureOwner();
    const { resources, entitlements } = rig.authorization;
    const tokens = new PersonalTokens({ database: rig.database, resources, entitlements, maxDays: 30 });
    const actor = { userId, userName, scopes: ['admin'], permission: 'admin' } as const;
    const request = { userId, name: 'nightly report', server: 'alpha', scopes: ['alpha:read'] };
    await tokens.create({ ...actor, scopes: ['admin', 'alpha:read'] }, request);
    await tab.goto(`${rig.url}/auth/account`);
    await tab.getByText('may: alpha:read').waitFor();
    await press(tab, 'Revoke nightly report');
    await tab.getByText('The token is revoked.').waitFor();
    expect((await tokens.list(actor, userId)).map(({ name }) => name)).toEqual([]);
  });
});

describe('a device', () => {
  it('is connected by the code that it shows', async () => {
    const form = new URLSearchParams({ client_id: 'cli', resource: alpha(), scope: 'user' });
    const begun = await fetch(`${rig.url}${oauthBase}/device_authorization`, { method: 'POST', body: form });
    const device = (await begun.json()) as Record<string, string>;
    await tab.goto(String(device['verification_uri']));
    await tab.getByLabel('Code').fill('bbbb bbbb');
    await press(tab, 'Continue');
    await tab.getByRole('alert').getByText('There is no such code.').waitFor();
    await tab.getByLabel('Code').fill(String(device['user_code']));
    await press(tab, 'Continue');
    await heading(tab, 'Is this your device?');
    await tab.getByText(String(device['user_code'])).waitFor();
    await screenshot(tab, 'flow-6-device');
    await press(tab, 'It is my device');
    await heading(tab, 'Allow cli?');
    await screenshot(tab, 'flow-7-device-consent');
    await press(tab, 'Allow');
    await heading(tab, 'Your device is connected');
    const answer = await rig.token({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(device['device_code']),
      client_id: 'cli',
    });
    expect(answer.json()).toMatchObject({ token_type: 'Bearer', scope: 'user' });
  });
});

describe('a browser without scripts', () => {
  let plain: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    await rig.owner.query(
      "INSERT INTO users (name, email, display_name, roles) VALUES ('ada', 'ada@example.com', 'Ada', '{user}')",
    );
    plain = await openContext(browser, { javaScriptEnabled: false, colorScheme: 'light' });
    page = await open(plain);
  });
  afterAll(() => plain.close());

  /** Signs in at the page that is shown, by the link that comes by mail. */
  async function signInByMail(): Promise<void> {
    const before = await mails();
    await heading(page, 'Sign in');
    await page.getByLabel('Mail address').fill('Ada@Example.com');
    await press(page, 'Send me a link');
    await heading(page, 'Look into your mail');
    await until('the mail is there', async () => (await mails()).length > before.length, 5_000);
    const name = (await mails()).find((mail) => !before.includes(mail)) ?? '';
    const text = (await readFile(join(rig.outbox, name), 'utf8')).replaceAll('=\r\n', '').replaceAll('=3D', '=');
    await page.goto(/https?:\/\/\S+\/auth\/link\?token=[\w-]+/.exec(text)?.[0] ?? '');
    await press(page, 'Sign in');
  }

  /** What the browser takes to the application's address, where nobody is at home: another tab goes on. */
  async function answered(): Promise<URLSearchParams> {
    const request = await page.waitForRequest((sent) => sent.url().startsWith(`${webRedirect}?`));
    page = await open(plain);
    return new URL(request.url()).searchParams;
  }

  const mails = (): Promise<string[]> => readdir(rig.outbox).catch(() => []);

  it('signs in by mail on the way to an application, is asked once, and goes straight on the next time', async () => {
    await page.goto(`${rig.url}${rig.request().address}`);
    await signInByMail();
    await heading(page, 'Allow web?');
    await screenshot(page, 'flow-8-consent-plain');
    const first = answered();
    await press(page, 'Allow');
    expect((await first).get('code')).not.toBeNull();

    await page.goto(`${rig.url}/auth/account`);
    await press(page, 'Sign out');
    await heading(page, 'You are signed out');
    await page.goto(`${rig.url}${rig.request({ state: 'again' }).address}`);
    const second = answered();
    await signInByMail();
    // Nothing is asked: from the link's form straight to the application, which no page of ours may forbid.
    expect((await second).get('state')).toBe('again');
  });

  it('sees an error that the application can not be told', async () => {
    await page.goto(`${rig.url}${rig.request({ redirect_uri: 'https://evil.example/cb' }).address}`);
    await heading(page, 'The sign-in cannot go on');
    await page.getByText('invalid_redirect_uri').waitFor();
    await screenshot(page, 'flow-9-error');
  });
});

it('nothing broke a rule of a page', () => {
  expect(complaints).toEqual([]);
});
