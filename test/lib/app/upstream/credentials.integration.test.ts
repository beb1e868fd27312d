import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readCredentials } from '../../../../src/lib/app/bridge/credentials.ts';
import { resealCredentials } from '../../../../src/lib/app/upstream/sealing.ts';
import { UserCredentials } from '../../../../src/lib/app/upstream/user-credentials.ts';
import type { McpServerConfig, UpstreamAuthConfig } from '../../../../src/lib/domain/mcp/index.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from '../router/gateway.ts';

const key = (per: 'shared' | 'user', more: object = {}): UpstreamAuthConfig => ({
  type: 'key',
  per,
  header: 'Authorization',
  scheme: 'Bearer',
  secret: 'crm.key',
  ...more,
});
const elsewhere = (name: string, auth: UpstreamAuthConfig): McpServerConfig =>
  serverConfig({
    name,
    kind: 'external',
    external: { endpoint: `https://${name}.example/mcp`, transport: 'auto', privateNetwork: false, auth },
  });
const servers = [
  serverConfig(),
  elsewhere('mine', key('user', { header: 'X-Api-Key', scheme: undefined })),
  elsewhere('ours', key('shared')),
  serverConfig({
    name: 'program',
    kind: 'stdio',
    command: { program: 'p', args: [] },
    process: { instances: 'user', idleStopMs: 0, startTimeoutMs: 1_000, userVariables: ['TOKEN', 'REGION'] },
  }),
];

let test: TestGateway;
let users: UserCredentials;
let bert: { readonly id: UserId; readonly bearer: (server: string) => Promise<Record<string, string>> };

beforeAll(async () => {
  test = await openTestGateway({ servers, credentialed: true, limits: { session_idle_s: 4 } });
  users = new UserCredentials({ database: test.database, sealer: test.secrets, servers });
  await test.secrets.set('crm.key', 'of-all');
  await test.secrets.set('mcp.ours.crm.key', 'shared-key-1');
  const [made] = await test.owner.query<{ id: UserId }>(
    `INSERT INTO users (name, display_name, roles) VALUES ('bert', 'Bert', '{user}') RETURNING id`,
  );
  if (made === undefined) throw new Error('no user');
  const user = await test.identity.users.get(made.id);
  const session = await test.identity.sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 3_600 });
  bert = {
    id: user.id,
    bearer: async (server) => {
      const token = await test.token({ server, user, sessionId: session.id });
      return { authorization: `Bearer ${token}` };
    },
  };
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

const own = async (server: string) => ({ authorization: `Bearer ${await test.token({ server })}` });
const ask = (server: string, headers: Record<string, string>, message: object) =>
  test.send(JSON.stringify({ jsonrpc: '2.0', id: 7, ...message }), headers, 'POST', `/api/v1/mcp/${server}/mcp`);
const call = (server: string, headers: Record<string, string>) =>
  ask(server, headers, { method: 'tools/call', params: { name: 'echo', arguments: {} } });
/** What the last request took along for the server behind; what was sent is told once. */
const taken = async () => {
  const { requests } = await test.seen();
  return readCredentials(requests.at(-1)?.headers['x-systemprompt-upstream']);
};

describe('what servers behind want', () => {
  it('costs a server nothing that wants nothing: no header goes along', async () => {
    expect((await test.call('echo')).status).toBe(200);
    expect(await taken()).toBeUndefined();
  });

  it('goes along for all callers where it is shared, the own secret of the server before the one of all', async () => {
    expect((await call('ours', await bert.bearer('ours'))).status).toBe(200);
    expect(await taken()).toMatchObject({ headers: { Authorization: 'Bearer shared-key-1' }, variables: {} });
  });

  it.each([
    { method: 'tools/call', params: { name: 'echo', arguments: {} } },
    { method: 'tools/list' },
    { method: 'ping' },
  ])('is asked for by an answer that says where to give it: $method', async (message) => {
    await test.seen();
    const reply = await ask('mine', await own('mine'), message);
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({
      id: 7,
      error: {
        code: -32000,
        message: 'The server mine needs something of you first: crm.key.',
        data: {
          code: 'FORBIDDEN',
          reason: 'credentials_missing',
          credentials: ['crm.key'],
          url: `${externalUrl}/auth/account#servers`,
          next: ['plugins mcp connect mine'],
        },
      },
    });
    expect((await test.seen()).requests).toEqual([]);
    if (message.method === 'tools/call') {
      expect(await test.rowOf(reply)).toMatchObject({ tool: 'echo', status: 'refused', decision: 'refused' });
    }
  });

  it('is no news to who may not use the server at all', async () => {
    const headers = { authorization: `Bearer ${await test.token({ server: 'mine', scopes: [] })}` };
    expect((await call('mine', headers)).status).toBe(403);
  });
});

describe('what a user brings', () => {
  it('auth 45: goes to that server for that user and for nobody else, from the next call on', async () => {
    await users.bring({ userId: test.user.id }, 'mine', new Map([['crm.key', 'annas-key-4711']]));
    expect((await call('mine', await own('mine'))).status).toBe(200);
    expect(await taken()).toMatchObject({ headers: { 'X-Api-Key': 'annas-key-4711' } });
    expect((await call('mine', await bert.bearer('mine'))).json.error?.data['reason']).toBe('credentials_missing');
  });

  it('is used by every process as soon as it is another one, and by none when it is taken back', async () => {
    const other = await test.another();
    const keys = new Set<string | undefined>();
    const said = async () => {
      const headers = await own('mine');
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo' } });
      const reply = await test.send(body, headers, 'POST', '/api/v1/mcp/mine/mcp', other.port);
      if (reply.json.error !== undefined) return reply.json.error.data['reason'];
      const went = await taken();
      keys.add(went?.key);
      return went?.headers['X-Api-Key'];
    };
    expect(await said()).toBe('annas-key-4711');
    await users.bring({ userId: test.user.id }, 'mine', new Map([['crm.key', 'annas-key-4712']]));
    await until('the new key is used', async () => (await said()) === 'annas-key-4712');
    expect(keys.size).toBe(2);
    await users.takeBack({ userId: test.user.id }, 'mine');
    await until('none is used', async () => (await said()) === 'credentials_missing');
    await other.close();
  });

  it('ends the sessions that were begun with what it replaces, and those of no other server', async () => {
    await users.bring({ userId: test.user.id }, 'mine', new Map([['crm.key', 'annas-key-4713']]));
    const begin = async (server: string) => {
      const params = { session: randomUUID(), protocolVersion: '2025-06-18', clientInfo: { name: 't', version: '1' } };
      const reply = await ask(server, await own(server), { method: 'initialize', params });
      const id = String(reply.headers['mcp-session-id']);
      return async () =>
        (await ask(server, { ...(await own(server)), 'mcp-session-id': id }, { method: 'ping' })).status;
    };
    const [mine, alpha] = [await begin('mine'), await begin('alpha')];
    expect([await mine(), await alpha()]).toEqual([200, 200]);
    const open = 'SELECT id FROM mcp.sessions WHERE ended_at IS NULL';
    await until('they are on record', async () => (await test.owner.query(open)).length === 2, 9_000);
    await users.bring({ userId: test.user.id }, 'mine', new Map([['crm.key', 'annas-key-4714']]));
    await until('the session is over', async () => (await mine()) === 404);
    expect(await alpha()).toBe(200);
    await users.takeBack({ userId: test.user.id }, 'mine');
  });

  it('are the variables of a process of their own, all of them or none', async () => {
    await users.bring({ userId: test.user.id }, 'program', new Map([['TOKEN', 'two\nlines']]));
    const reply = await call('program', await own('program'));
    expect(reply.json.error?.data['credentials']).toEqual(['REGION']);
    await users.bring({ userId: test.user.id }, 'program', new Map([['REGION', 'eu']]));
    expect((await call('program', await own('program'))).status).toBe(200);
    expect(await taken()).toMatchObject({ headers: {}, variables: { TOKEN: 'two\nlines', REGION: 'eu' } });
  });

  it('auth 45: is in no table, no log, no answer and no event as it is', async () => {
    await users.bring({ userId: bert.id }, 'mine', new Map([['crm.key', 'berts-key-0815']]));
    expect((await call('mine', await bert.bearer('mine'))).status).toBe(200);
    const listed = await users.list(bert.id);
    expect(listed.find(({ server }) => server === 'mine')).toMatchObject({
      connected: true,
      place: 'https://mine.example',
    });
    const text = [await test.dump(), test.log(), JSON.stringify(listed)].join();
    for (const secret of ['berts-key-0815', 'annas-key-4711', 'shared-key-1']) expect(text).not.toContain(secret);
    const [event] = await test.owner.query(
      `SELECT resource, data FROM identity_events WHERE type = 'server_connected' AND user_id = $1`,
      [bert.id],
    );
    expect(event).toEqual({ resource: 'mine', data: { names: ['crm.key'] } });
  });

  it('auth 45: opens in no other row, and is sent to no other place than the one that it was brought for', async () => {
    await test.owner.query('UPDATE mcp.user_credentials SET user_id = $1 WHERE server = $2', [test.user.id, 'mine']);
    const reply = await call('mine', await own('mine'));
    expect(reply.status).toBe(500);
    expect(reply.body).not.toContain('berts-key');
    await test.owner.query('UPDATE mcp.user_credentials SET user_id = $1 WHERE server = $2', [bert.id, 'mine']);

    const moved = elsewhere('mine', key('user'));
    const external = { ...moved.external, endpoint: 'https://evil.example/mcp' } as McpServerConfig['external'];
    const { UpstreamCredentials } = await import('../../../../src/lib/app/upstream/credentials.ts');
    const { database, secrets } = test;
    const source = await UpstreamCredentials.open({
      servers: [{ ...moved, ...(external && { external }) }],
      database,
      secrets,
      externalUrl,
    });
    await expect(source.headerFor('mine', bert.id)).rejects.toMatchObject({ data: { reason: 'credentials_missing' } });
    await source.close();
  });

  it('is refused when it can’t be sent, without being quoted; and when the server takes no such thing', async () => {
    const by = { userId: bert.id };
    const refusal = (server: string, name: string, value: string) =>
      users.bring(by, server, new Map([[name, value]])).catch((error: Error) => error.message);
    expect(await refusal('mine', 'crm.key', 'a\r\nb: c')).toMatch(/can’t have/);
    expect(await refusal('mine', 'crm.key', 'x'.repeat(8_193))).toMatch(/larger than 8192/);
    expect(await refusal('program', 'TOKEN', '')).toMatch(/is empty/);
    expect(await refusal('program', 'PATH', '/evil')).toMatch(/takes no PATH/);
    expect(await refusal('alpha', 'x', 'y')).toMatch(/wants nothing/);
    expect(await refusal('ours', 'crm.key', 'y')).toMatch(/wants nothing/);
    expect(await refusal('gone', 'x', 'y')).toMatch(/no MCP server/);
  });

  it('is sealed anew when former master keys are given up', async () => {
    const before = await test.owner.query('SELECT sealed FROM mcp.user_credentials ORDER BY user_id, server, name');
    expect(await resealCredentials(test.database, test.secrets)).toBe(before.length);
    const after = await test.owner.query('SELECT sealed FROM mcp.user_credentials ORDER BY user_id, server, name');
    expect(after).not.toEqual(before);
    expect((await call('mine', await bert.bearer('mine'))).status).toBe(200);
    expect((await taken())?.headers).toEqual({ 'X-Api-Key': 'berts-key-0815' });
  });
});
