import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { instanceAudience, mcpAudience } from '../../../src/lib/app/identity.ts';
import { ServiceEventFeed } from '../../../src/lib/app/supervisor/event-feed.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { type EventSource, openEventSource } from '../../helpers/event-source.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../helpers/identity.ts';
import { addEvent } from '../../helpers/service-events.ts';
import { until } from '../../helpers/until.ts';

interface OpenApiOperation {
  readonly security: unknown;
  readonly responses: Record<string, { readonly content?: Record<string, unknown> }>;
}

const path = '/api/v1/services/events';
let test: TestIdentity;
let api: TestApi;
let feed: ServiceEventFeed;
let installation: string;
let draining = false;
const open: EventSource[] = [];

beforeAll(async () => {
  test = await openTestIdentity();
});
afterAll(async () => {
  await test?.close();
});
beforeEach(async () => {
  installation = randomUUID();
  draining = false;
  feed = new ServiceEventFeed(test.database, installation);
  api = await startTestApi(test.identity.verifier, { serviceEvents: feed, draining: () => draining });
});
afterEach(async () => {
  for (const source of open.splice(0)) source.close();
  await feed.close();
  await api.close();
});

async function tokenFor(scopes: readonly string[], audience = instanceAudience(externalUrl)) {
  const { users, sessions, issuer } = test.identity;
  const user = await users.ensureOwner();
  const session = await sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 600 });
  const request = { user, sessionId: session.id, audience, scopes: [...scopes], ttlSeconds: 600, client: 'test' };
  return { token: (await issuer.issue(request)).token, session: session.id };
}

async function listen(token: string, headers: Record<string, string> = {}, query = ''): Promise<EventSource> {
  const source = await openEventSource({
    host: '127.0.0.1',
    port: api.endpoint.port,
    path: `${path}${query}`,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  open.push(source);
  return source;
}

it('tells an admin what happens, as server-sent events that can be resumed', async () => {
  const { token } = await tokenFor(['admin']);
  await addEvent(test.owner, installation, { service: 'api', to: 'starting' });
  const source = await listen(token);
  expect(source).toMatchObject({
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': expect.any(String),
    },
  });
  const first = await addEvent(test.owner, installation, { service: 'api', to: 'ready' });
  const second = await addEvent(test.owner, installation, { service: 'mcp:x', to: 'failed', reason: 'a\nb' });
  await until('the events', () => source.messages.length === 2);
  expect(source.messages.map(({ id, event }) => [id, event])).toEqual([
    [String(first), 'transition'],
    [String(second), 'transition'],
  ]);
  expect(JSON.parse(source.messages[1]?.data ?? '')).toMatchObject({ id: second, to_state: 'failed', reason: 'a\nb' });

  const resumed = await listen(token, { 'last-event-id': String(first) });
  await until('what was missed', () => resumed.messages.length === 1);
  expect(resumed.messages[0]?.id).toBe(String(second));
  const filtered = await listen(token, {}, '?after=0&service=api');
  await until('the events of one', () => filtered.messages.length === 2);
  expect(filtered.messages.every(({ data }) => JSON.parse(data).service === 'api')).toBe(true);
});

it('needs the scope admin, for the instance itself', async () => {
  const anonymous = await openEventSource({ host: '127.0.0.1', port: api.endpoint.port, path });
  expect(anonymous.status).toBe(401);
  expect(anonymous.headers['www-authenticate']).toContain('scope="admin"');
  const user = await listen((await tokenFor(['user'])).token);
  expect(user.status).toBe(403);
  expect(user.headers['www-authenticate']).toContain('error="insufficient_scope"');
  expect((await listen((await tokenFor(['admin'], mcpAudience(externalUrl, 'alpha'))).token)).status).toBe(401);
});

it('ends for everybody when the feed closes, and takes nobody while the API stops', async () => {
  const { token } = await tokenFor(['admin']);
  const source = await listen(token);
  expect(source.status).toBe(200);
  await feed.close();
  await source.ended;
  draining = true;
  expect((await listen(token)).status).toBe(503);
});

it('takes 64 listeners, and one more when one has left', async () => {
  const { token } = await tokenFor(['admin']);
  const all = await Promise.all(Array.from({ length: 64 }, () => listen(token)));
  expect(all.every(({ status }) => status === 200)).toBe(true);
  expect((await listen(token)).status).toBe(503);
  all[0]?.close();
  await until('a free place', async () => (await listen(token)).status === 200);
});

it('is in the description of the API', async () => {
  const answer = await fetch(`${api.url}/api/v1/openapi.json`);
  const document = (await answer.json()) as { paths: Record<string, { get: OpenApiOperation }> };
  const get = document.paths[path]?.get;
  expect(get?.security).toEqual([{ bearer: [] }]);
  expect(Object.keys(get?.responses['200']?.content ?? {})).toEqual(['text/event-stream']);
});
