import { describe, expect, it } from 'vitest';
import { type ConsentView, consentPage } from '../../../../src/entry/api/pages/consent.ts';
import { renderPage } from '../../../../src/entry/api/pages/layout.ts';
import { oauthPages } from '../../../../src/entry/api/pages/oauth.ts';

const view: ConsentView = {
  uid: 'u1',
  csrf: 'token',
  userName: 'ann',
  client: {
    id: 'https://claude.ai/client.json',
    name: 'Claude Code',
    host: 'claude.ai',
    kind: 'document',
    redirectHost: 'localhost:5123',
    loopbackOnly: true,
  },
  redirectUri: 'http://localhost:5123/callback',
  device: false,
  resources: [
    {
      resource: { displayName: 'Support desk', audience: 'http://localhost:8080/api/v1/mcp/support/mcp' },
      asked: [
        { name: 'tickets:delete', description: 'Delete tickets', sensitive: true },
        { name: 'tickets:read', description: 'Read tickets', sensitive: false },
      ],
      refused: ['admin'],
    },
  ],
  oidcScopes: ['openid', 'offline_access'],
};

const unchecked = 'Nobody here has checked this application';
const onDevice = 'a program on your own device';
const text = (page: ReturnType<typeof consentPage>) => page.body.toString();
const withClient = (client: Partial<ConsentView['client']>): string =>
  text(consentPage({ ...view, client: { ...view.client, ...client } }));

describe('auth 9: consent', () => {
  it('shows who asks, where its id is from, where the answer goes, and what it will be able to do', () => {
    const body = text(consentPage(view));
    for (const shown of [
      'Claude Code',
      'claude.ai',
      'localhost:5123',
      'Support desk',
      'ann',
      'Read tickets',
      'tickets:read',
    ]) {
      expect(body).toContain(shown);
    }
    expect(body).toContain('not yours to give: <code><bdi>admin</bdi></code>');
    expect(body).toContain('Stay connected while you are away');
  });

  it('has ordinary scopes ticked, sensitive ones marked and not', () => {
    const boxes = [
      ...text(consentPage(view)).matchAll(/<input type="checkbox"[^>]*value="([^"]+)"( checked)?>.*?<\/li>/g),
    ];
    expect(boxes.map(([all, scope, checked]) => [scope, checked !== undefined, all.includes('>sensitive<')])).toEqual([
      ['tickets:read', true, false],
      ['tickets:delete', false, true],
    ]);
  });

  it('warns of what nobody has checked, and of answers that any program on the device could be waiting for', () => {
    const both = withClient({});
    expect([both.includes(unchecked), both.includes(onDevice), both.includes('>not verified<')]).toEqual([
      true,
      true,
      true,
    ]);
    const dynamic = withClient({ kind: 'dynamic', host: undefined, loopbackOnly: false });
    expect([dynamic.includes(unchecked), dynamic.includes(onDevice)]).toEqual([true, false]);
    const registered = withClient({ kind: 'registered', host: undefined, loopbackOnly: false });
    expect([registered.includes('class="note caution"'), registered.includes('>verified<')]).toEqual([false, true]);
  });

  it('warns of codes that somebody else sent, and names no address to go to, for a device', () => {
    const page = consentPage({ ...view, device: true, redirectUri: undefined });
    expect(text(page)).toContain('only if you began this on a device of your own');
    expect(text(page)).toContain('the device that you began on');
    expect(renderPage(page).headers['content-security-policy']).toContain("form-action 'self';");
  });

  it('may end up at the application, and nowhere else', () => {
    const policy = renderPage(consentPage(view)).headers['content-security-policy'];
    expect(policy).toContain("form-action 'self' http://localhost:5123;");
  });
});

describe('auth 11: what a client says of itself', () => {
  const evil = `<img src=x onerror=alert(1)>"'\u202Etxt.exe\u0000`;

  it('is escaped, cleaned and cut wherever it is shown', () => {
    const pages = [
      withClient({ name: evil, id: evil, host: evil, redirectHost: evil }),
      withClient({ name: evil.repeat(50), id: evil, host: undefined, kind: 'dynamic' }),
      oauthPages.deviceConfirm({
        action: '/auth/device',
        xsrf: evil,
        userCode: evil,
        client: { id: evil, name: evil },
        address: evil,
        userAgent: evil,
      }).body,
      oauthPages.deviceDone({ name: evil }).body,
      oauthPages.error({ status: 400, error: evil, description: evil }).body,
    ];
    for (const body of pages) {
      expect(body).not.toContain('<img');
      expect(body).not.toMatch(/="[^"]*</);
      expect(/<h1>(.*?)<\/h1>/.exec(body)?.[1]).not.toContain('\u202E');
      expect(body.length).toBeLessThan(9_000);
    }
  });

  it('loads no picture of it from anywhere', () => {
    const { headers, body } = renderPage(consentPage(view));
    expect(headers['content-security-policy']).toContain("img-src 'self' data:;");
    expect(body).not.toMatch(/<img|src="http|url\(/);
  });
});

describe('auth 10: a page of the authorization server itself', () => {
  it('is protected like all others', () => {
    const form = { action: 'http://localhost:8080/auth/device', xsrf: 'x' };
    for (const { headers } of [
      oauthPages.deviceCode(form),
      oauthPages.deviceConfirm({ ...form, userCode: 'WDJB-MJHT', client: { id: 'cli', name: 'CLI' } }),
      oauthPages.deviceDone({ name: 'CLI' }),
      oauthPages.error({ status: 400, error: 'invalid_client' }),
    ]) {
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    }
  });
});

describe('auth 37: a device', () => {
  it('is shown with its code and its client, and asked about, before anything is allowed', () => {
    const form = { action: '/auth/device', xsrf: 'secret' };
    const { body } = oauthPages.deviceConfirm({
      ...form,
      userCode: 'WDJB-MJHT',
      client: { id: 'cli', name: 'My CLI' },
    });
    for (const shown of [
      'WDJB-MJHT',
      'My CLI',
      'name="confirm" value="yes"',
      'name="abort"',
      'Did somebody send you',
    ]) {
      expect(body).toContain(shown);
    }
  });
});
