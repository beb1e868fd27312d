import fastify, { type FastifyInstance } from 'fastify';
import type { Browser, Page as Tab } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AccountView, accountPage } from '../../src/entry/api/pages/account.ts';
import { assetRoutes } from '../../src/entry/api/pages/assets.ts';
import { type ConsentView, consentPage } from '../../src/entry/api/pages/consent.ts';
import { deviceCodePage, deviceConfirmPage, deviceDonePage } from '../../src/entry/api/pages/device.ts';
import { oauthErrorPage, plainErrorPage } from '../../src/entry/api/pages/error.ts';
import { type Page, page } from '../../src/entry/api/pages/layout.ts';
import {
  deadLinkPage,
  linkPage,
  mailSentPage,
  onwardPage,
  setupPage,
  signedOutPage,
  signInPage,
} from '../../src/entry/api/pages/sign-in.ts';
import { accessibilityFaults } from '../helpers/accessibility.ts';
import { launchChromium, openContext, screenshot } from '../helpers/chromium.ts';

const csrf = 'x'.repeat(43);
const now = Date.now();
const ago = (minutes: number) => new Date(now - minutes * 60_000);

const consent: ConsentView = {
  uid: 'u1',
  csrf,
  userName: 'owner',
  client: {
    id: 'https://claude.ai/oauth/claude-code-client-metadata',
    name: 'Claude Code',
    host: 'claude.ai',
    kind: 'document',
    redirectHost: 'localhost:52110',
    loopbackOnly: true,
  },
  redirectUri: 'http://localhost:52110/callback',
  device: false,
  resources: [
    {
      resource: { displayName: 'Support desk', audience: 'http://localhost:8080/api/v1/mcp/support/mcp' },
      asked: [
        { name: 'user', description: 'Use it in your name', sensitive: false },
        { name: 'tickets:delete', description: 'Delete tickets for good', sensitive: true },
        { name: 'tickets:read', description: 'Read every ticket of your team', sensitive: false },
      ],
      refused: ['admin'],
    },
  ],
  oidcScopes: ['openid', 'offline_access'],
};

const account: AccountView = {
  csrf,
  user: { name: 'owner', displayName: 'Ada Lovelace', email: 'ada@example.com' },
  passkeys: [
    { id: 'p1', name: 'MacBook', createdAt: ago(60 * 24 * 40), lastUsedAt: ago(4), synced: true },
    { id: 'p2', name: 'Security key', createdAt: ago(60 * 24 * 39), synced: false },
  ],
  federated: [
    { id: 'f1', name: 'Company account: ada@example.com', createdAt: ago(60 * 24 * 20), lastUsedAt: ago(600) },
  ],
  linkable: [{ id: 'github', name: 'GitHub' }],
  sessions: [
    { id: 's1', client: 'Firefox on Linux', createdAt: ago(4), lastSeenAt: ago(0), current: true },
    { id: 's2', client: 'systemprompt CLI', createdAt: ago(60 * 30), lastSeenAt: ago(70), current: false },
  ],
  connected: [
    {
      id: 'c1',
      name: 'Claude Code',
      clientId: 'https://claude.ai/oauth/claude-code-client-metadata',
      allowed: [{ resource: 'Support desk', scopes: ['user', 'tickets:read'] }],
      createdAt: ago(60 * 24 * 3),
      lastSeenAt: ago(12),
    },
  ],
  tokens: [
    {
      id: 't1',
      name: 'nightly report',
      audience: 'http://localhost:8080/api/v1/mcp/support/mcp',
      scopes: ['tickets:read'],
      createdAt: ago(60 * 24 * 10),
      expiresAt: ago(-60 * 24 * 80),
      lastUsedAt: ago(60 * 9),
    },
  ],
  recent: true,
  done: 'Claude Desktop is disconnected.',
};

/** It would go on before anybody has looked at it. */
function withoutRefresh({ refresh: _address, ...rest }: Page): Page {
  return rest;
}

const device = { action: '/auth/device', xsrf: 'x' };
const pages: Readonly<Record<string, Page>> = {
  'sign-in': signInPage({
    csrf,
    returnTo: '/auth/account',
    notice: 'to go on to Claude Code',
    providers: [
      { id: 'company', name: 'Company account' },
      { id: 'github', name: 'GitHub' },
    ],
  }),
  'sign-in-error': signInPage({
    csrf,
    returnTo: '/auth/account',
    error: 'This is not a mail address.',
    email: 'ada@',
    providers: [],
  }),
  'mail-sent': mailSentPage({ email: 'ada@example.com', minutes: 10, returnTo: '/auth/account' }),
  link: linkPage({ csrf, action: '/auth/link', token: 't' }),
  'link-dead': deadLinkPage(),
  owner: setupPage({ csrf, userName: 'owner', returnTo: '/auth/account', owner: true }),
  'signed-in': withoutRefresh(onwardPage('/auth/account')),
  'signed-out': signedOutPage(),
  'consent-document-loopback': consentPage(consent),
  'consent-dynamic': consentPage({
    ...consent,
    client: {
      ...consent.client,
      id: 'f3kzq0s81',
      host: undefined,
      kind: 'dynamic',
      redirectHost: 'app.example.com',
      loopbackOnly: false,
    },
    redirectUri: 'https://app.example.com/cb',
  }),
  'consent-registered-nothing': consentPage({
    ...consent,
    client: {
      ...consent.client,
      id: 'console',
      host: undefined,
      kind: 'registered',
      redirectHost: 'console.example.com',
      loopbackOnly: false,
    },
    redirectUri: 'https://console.example.com/cb',
    resources: consent.resources.map((each) => ({ ...each, asked: [], refused: ['admin', 'tickets:delete'] })),
    oidcScopes: ['openid', 'profile', 'email'],
  }),
  'consent-device': consentPage({
    ...consent,
    client: {
      ...consent.client,
      id: 'systemprompt-cli',
      name: 'systemprompt CLI',
      host: undefined,
      kind: 'builtin',
      loopbackOnly: true,
    },
    redirectUri: undefined,
    device: true,
  }),
  'device-code': deviceCodePage(device),
  'device-code-error': deviceCodePage({ ...device, userCode: 'WDJB-MJHX', problem: 'unknown' }),
  'device-confirm': deviceConfirmPage({
    ...device,
    userCode: 'WDJB-MJHT',
    client: { id: 'systemprompt-cli', name: 'systemprompt CLI' },
    address: '192.0.2.10',
    userAgent: 'systemprompt/0.1.0 (linux; x64)',
  }),
  'device-done': deviceDonePage({ clientName: 'systemprompt CLI' }),
  account: accountPage(account),
  'account-empty': accountPage({
    ...account,
    passkeys: [],
    federated: [],
    linkable: [],
    sessions: [],
    connected: [],
    tokens: [],
    recent: false,
    done: undefined,
  }),
  'error-oauth': oauthErrorPage({
    status: 400,
    code: 'invalid_redirect_uri',
    description: "redirect_uri did not match any of the client's registered redirect_uris",
    requestId: '0199f3a1-5c1e-7d5e-8f4e-3b1f4a2d9c10',
  }),
  'error-plain': plainErrorPage({
    status: 403,
    title: 'This is not allowed',
    message: 'This form was opened too long ago, or in another sign-in',
    hint: 'Go back, load the page again and repeat it.',
  }),
};

/** Pages that are an end, or can do nothing without scripts. */
const ends = new Set(['error-oauth', 'owner']);

let app: FastifyInstance;
let browser: Browser;
let url: string;

beforeAll(async () => {
  app = fastify();
  await app.register(assetRoutes);
  app.get<{ Params: { name: string } }>('/page/:name', async (request, reply) =>
    page(reply, pages[request.params.name] ?? plainErrorPage({ status: 404, title: 'No such page' })),
  );
  [url, browser] = await Promise.all([app.listen({ port: 0, host: '127.0.0.1' }), launchChromium()]);
});
afterAll(async () => {
  await browser.close();
  await app.close();
});

/** Opens each page in turn in one tab; gives what the browser itself complained about beside what was found. */
async function each(tab: Tab, look: (name: string) => Promise<string[]>): Promise<string[]> {
  const found: string[] = [];
  let at = '';
  tab.on(
    'console',
    (message) => ['error', 'warning'].includes(message.type()) && found.push(`${at}: ${message.text()}`),
  );
  tab.on('pageerror', (error) => found.push(`${at}: ${error.message}`));
  for (const [name, { status = 200 }] of Object.entries(pages)) {
    at = name;
    // What is reported of an answer that is an error, and the page without passkeys that the script asks in vain.
    const answer = await tab.goto(`${url}/page/${name}`);
    if (answer?.status() !== status) found.push(`${name}: ${answer?.status()}`);
    found.push(...(await look(name)).map((fault) => `${name}: ${fault}`));
  }
  return found.filter((fault) => !/Failed to load resource/.test(fault));
}

describe('an asset', () => {
  it('is kept by browsers for ever under the name of its content, and by no name that could be guessed from outside', async () => {
    const shown = await (await fetch(`${url}/page/sign-in`)).text();
    const names = [...shown.matchAll(/"(\/auth\/assets\/[^"]+)"/g)].map(([, name]) => name);
    expect(names).toEqual([
      expect.stringMatching(/\/style-[A-Z0-9]{8}\.css$/),
      expect.stringMatching(/\/passkey-[A-Z0-9]{8}\.js$/),
    ]);
    for (const name of names) {
      const { status, headers } = await fetch(`${url}${name}`);
      expect([status, headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
      expect(headers.get('content-type')).toMatch(/^text\/(css|javascript); charset=utf-8$/);
    }
    for (const name of ['style.css', 'manifest.json', '..%2F..%2Fpackage.json', '%2e%2e%2fentry']) {
      expect((await fetch(`${url}/auth/assets/${name}`)).status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe('every page', () => {
  it.each(['light', 'dark'] as const)(
    'in %s is accessible, and breaks no rule of its own policy',
    async (colorScheme) => {
      const context = await openContext(browser, { colorScheme });
      const tab = await context.newPage();
      const faults = await each(tab, async (name) => {
        await screenshot(tab, `${name}-${colorScheme}`);
        return accessibilityFaults(tab);
      });
      expect(faults).toEqual([]);
      await context.close();
    },
  );

  it('fits a small screen, and works without scripts', async () => {
    const context = await openContext(browser, { viewport: { width: 320, height: 640 }, javaScriptEnabled: false });
    const tab = await context.newPage();
    const faults = await each(tab, async (name) => {
      await screenshot(tab, `${name}-small`);
      // Beside the link that skips to the content.
      const ways = await tab.locator('main button:visible, main a:visible').count();
      const sideways = await tab.evaluate<boolean>('document.documentElement.scrollWidth > 320');
      return [
        ...(ways > 0 || ends.has(name) ? [] : ['nothing leads on']),
        ...(sideways ? ['it scrolls sideways'] : []),
      ];
    });
    expect(faults).toEqual([]);
    await context.close();
  });
});
