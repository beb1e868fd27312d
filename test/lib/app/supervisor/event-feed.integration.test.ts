import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServiceEventFeed } from '../../../../src/lib/app/supervisor/event-feed.ts';
import { newestEvents, requireServicesOnRecord } from '../../../../src/lib/app/supervisor/event-rows.ts';
import type { ServiceEvent } from '../../../../src/lib/app/supervisor/event-types.ts';
import { type Database, openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { withSession } from '../../../../src/lib/infra/database/session.ts';
import { NotFoundError } from '../../../../src/lib/shared/errors.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';
import { addEvent } from '../../../helpers/service-events.ts';
import { until } from '../../../helpers/until.ts';

let test: TestDatabase;
let owner: Database;
let app: Database;
beforeAll(async () => {
  test = await createTestDatabase();
  owner = openDatabase(test.owner);
  // As the CLI and the API have it: the role of the application.
  app = openDatabase(test.app);
  app.onError(() => {});
});
afterAll(async () => {
  await app?.close();
  await owner?.close();
  await test?.drop();
});

/** Follows in the background into a list. */
function follow(feed: ServiceEventFeed, after: number): { seen: ServiceEvent[]; stop: () => Promise<void> } {
  const over = new AbortController();
  const seen: ServiceEvent[] = [];
  const work = (async () => {
    for await (const page of feed.follow({ after, signal: over.signal })) seen.push(...page);
  })();
  return {
    seen,
    stop: async () => {
      over.abort();
      await work;
    },
  };
}

it('follows from an id: the past first, then what is written, of its own installation only', async () => {
  const installation = randomUUID();
  const feed = new ServiceEventFeed(app, installation);
  expect(await feed.position()).toBe(0);
  const first = await addEvent(owner, installation, { service: 'a', to: 'starting' });
  const second = await addEvent(owner, installation, { service: 'a', to: 'ready' });
  expect(await feed.position()).toBe(second);
  const [one, two] = [follow(feed, 0), follow(feed, first)];
  await until('the past', () => one.seen.length === 2 && two.seen.length === 1);
  await addEvent(owner, randomUUID(), { service: 'a', to: 'failed' });
  const third = await addEvent(owner, installation, { service: 'b', to: 'failed', reason: 'why' });
  await until('the third', () => one.seen.length === 3 && two.seen.length === 2);
  expect(one.seen.map(({ id }) => id)).toEqual([first, second, third]);
  expect(two.seen.at(-1)).toMatchObject({
    id: third,
    service: 'b',
    from_state: 'stopped',
    to_state: 'failed',
    reason: 'why',
  });
  expect(two.seen.at(-1)?.at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  await one.stop();
  await two.stop();
  await feed.close();
});

it('a reader that is slow loses nothing, and a burst larger than a page comes whole', async () => {
  const installation = randomUUID();
  const feed = new ServiceEventFeed(app, installation);
  const ids: number[] = [];
  const over = new AbortController();
  const gate = Promise.withResolvers<void>();
  await addEvent(owner, installation, { service: 'a', to: 'ready' });
  const work = (async () => {
    for await (const page of feed.follow({ after: 0, signal: over.signal })) {
      ids.push(...page.map(({ id }) => id));
      await gate.promise;
    }
  })();
  await until('the first', () => ids.length === 1);
  await owner.query(
    `INSERT INTO service_events (installation_id, service, generation, from_state, to_state, event, epoch, at)
     SELECT $1, 'a', 1, 'ready', 'stopped', 'gone', 1, now() FROM generate_series(1, 1200)`,
    [installation],
  );
  gate.resolve();
  await until('all', () => ids.length === 1201);
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  over.abort();
  await work;
  await feed.close();
});

it('goes on where it was when its connections are cut', async () => {
  const installation = randomUUID();
  const feed = new ServiceEventFeed(app, installation);
  const reader = follow(feed, await feed.position());
  await withSession(test.admin, {}, (session) =>
    session.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [test.app.user]),
  );
  const id = await addEvent(owner, installation, { service: 'a', to: 'ready' });
  await until('the event', () => reader.seen.some((event) => event.id === id));
  await reader.stop();
  await feed.close();
});

it('closing the feed ends its readers', async () => {
  const feed = new ServiceEventFeed(app, randomUUID());
  const after = await feed.position();
  const reading = feed.follow({ after, signal: new AbortController().signal }).next();
  await feed.close();
  expect(await reading).toEqual({ done: true, value: undefined });
});

it('the newest that pass the filter, oldest first; a service that never was is refused', async () => {
  const installation = randomUUID();
  for (const [service, to] of [
    ['mcp:a', 'ready'],
    ['mcp:b', 'failed'],
    ['api', 'failed'],
    ['mcp:a', 'failed'],
  ] as const) {
    await addEvent(owner, installation, { service, to });
  }
  const of = async (filter: object) =>
    (await newestEvents(app, installation, { limit: 10, ...filter })).map(
      ({ service, to_state }) => `${service} ${to_state}`,
    );
  expect(await of({ services: ['mcp'], types: ['failed'] })).toEqual(['mcp:b failed', 'mcp:a failed']);
  expect(await of({ services: ['mcp:a', 'api'] })).toEqual(['mcp:a ready', 'api failed', 'mcp:a failed']);
  expect(await of({ limit: 2 })).toEqual(['api failed', 'mcp:a failed']);
  expect(await of({ since: new Date(Date.now() + 60_000) })).toEqual([]);
  // Not in `services` any more, but it has a past.
  await requireServicesOnRecord(app, installation, ['api']);
  await expect(requireServicesOnRecord(app, installation, ['apu'])).rejects.toThrow(NotFoundError);
});
