import { describe, expect, it } from 'vitest';
import { Account, type AccountDependencies, type ListedSession } from '../../../../src/lib/app/people/account.ts';
import type { BrowserSession } from '../../../../src/lib/app/people/browser-sessions.ts';
import { browserName } from '../../../../src/lib/app/people/user-agent.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';

const at = new Date('2026-11-21T10:00:00Z');
const mine: BrowserSession = {
  userId: 'u1' as UserId,
  userName: 'ann',
  displayName: 'Ann',
  sessionId: 's1' as SessionId,
  authTime: at,
  methods: ['passkey'],
};
const row = (id: string, kind: ListedSession['kind'], client: string, userAgent?: string): ListedSession => ({
  id: id as SessionId,
  kind,
  client,
  createdAt: at,
  lastSeenAt: at,
  ...(userAgent === undefined ? {} : { userAgent }),
});
const document = 'https://claude.ai/oauth/client.json';

function account(calls: unknown[] = []): Account {
  const deps: AccountDependencies = {
    users: { get: async () => ({ name: 'ann', displayName: 'Ann', email: 'ann@example.com', roles: ['user'] }) },
    passkeys: { list: async () => [], remove: async (_session, id) => void calls.push(['passkey', id]) },
    federation: {
      providers: [
        { id: 'corp', name: 'Corp' },
        { id: 'hub', name: 'Hub' },
      ],
      list: async () => [
        { id: 'f1', userId: mine.userId, issuer: 'https://corp', provider: 'corp', label: 'ann@corp', createdAt: at },
        { id: 'f2', userId: mine.userId, issuer: 'https://old', provider: 'gone', createdAt: at },
      ],
      unlink: async (_session, id) => void calls.push(['federated', id]),
    },
    sessions: {
      list: async () => [
        row('s0', 'local', 'systemprompt-cli'),
        row('s1', 'browser', 'browser', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'),
        row('s2', 'oauth', document),
        row('s3', 'oauth', 'dyn'),
        row('s4', 'token', 'pat'),
      ],
      end: async (actor, userId, id) => calls.push(['session', actor.permission, userId, id]),
    },
    tokens: {
      list: async () => [{ id: 't1', name: 'ci', audience: 'a', scopes: ['user'], createdAt: at, expiresAt: at }],
      revoke: async (_actor, id) => calls.push(['token', id]),
    },
    consents: async () => [
      {
        sessionId: 's2' as SessionId,
        resources: [
          { audience: 'http://a/mcp', scopes: ['read'] },
          { audience: 'gone', scopes: ['x'] },
        ],
      },
    ],
    resourceName: (audience) => (audience === 'gone' ? undefined : 'Support'),
    clientName: async (id) => (id === 'dyn' ? 'Dynamic' : undefined),
  };
  return new Account(deps);
}

describe('an account', () => {
  it('shows sign-ins, applications and identities apart, each under the best name there is', async () => {
    const { sessions, connected, federated, linkable } = await account().overview(mine);
    expect(sessions.map(({ id, client, current }) => [id, client, current])).toEqual([
      ['s1', 'Firefox on Linux', true],
      ['s0', 'systemprompt-cli', false],
    ]);
    expect(connected.map(({ id, name, clientId, allowed }) => [id, name, clientId, allowed])).toEqual([
      [
        's2',
        'claude.ai',
        document,
        [
          { resource: 'Support', scopes: ['read'] },
          { resource: 'gone', scopes: ['x'] },
        ],
      ],
      ['s3', 'Dynamic', 'dyn', []],
    ]);
    expect(federated.map(({ name }) => name)).toEqual(['Corp: ann@corp', 'gone']);
    expect(linkable.map(({ id }) => id)).toEqual(['hub']);
  });

  it('ends each kind by its own way, as the user alone, and only what is theirs', async () => {
    const calls: unknown[] = [];
    const own = account(calls);
    await own.end(mine, 'passkeys', 'p1', undefined);
    await own.end(mine, 'federated', 'f1', undefined);
    await own.end(mine, 'connected', 's2', undefined);
    await own.end(mine, 'tokens', 't1', undefined);
    await expect(own.end(mine, 'tokens', 't2', undefined)).rejects.toThrow('You have no such token');
    expect(calls).toEqual([
      ['passkey', 'p1'],
      ['federated', 'f1'],
      ['session', 'user', 'u1', 's2'],
      ['token', 't1'],
    ]);
  });
});

describe('a browser', () => {
  it.each([
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0',
      'Edge on Windows',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1',
      'Safari on iPhone',
    ],
    [
      'Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
      'Chrome on Android',
    ],
    ['curl/8.0', 'A browser'],
    [undefined, 'A browser'],
  ])('%s is called %s', (userAgent, name) => {
    expect(browserName(userAgent)).toBe(name);
  });
});
