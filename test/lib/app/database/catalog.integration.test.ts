import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { descriptionCard, indexesTable, relationsTable, sizesTable } from '../../../../src/entry/cli/views/database.ts';
import { describeRelation, findRelation, indexes, relations, sizes } from '../../../../src/lib/app/database/catalog.ts';
import { quoteIdentifier as id } from '../../../../src/lib/infra/database/identifiers.ts';
import { type Session, withSession } from '../../../../src/lib/infra/database/session.ts';
import { artifactSchema } from '../../../../src/lib/shared/artifact.ts';
import { createTestDatabase, type TestDatabase } from '../../../helpers/database.ts';

const odd = `Odd "name"; DROP TABLE users; --`;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await withSession(database.owner, {}, async (session) => {
    await session.query(`CREATE TABLE ${id(odd)} (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      ${id('a "b"')} text NOT NULL DEFAULT 'x' UNIQUE,
      owner uuid REFERENCES users (id) ON DELETE CASCADE,
      twice int GENERATED ALWAYS AS (2 * 2) STORED,
      UNIQUE (id, owner))`);
    await session.query(`COMMENT ON TABLE ${id(odd)} IS 'what it is for'`);
    await session.query(`COMMENT ON COLUMN ${id(odd)}.owner IS 'whose'`);
    await session.query('CREATE TABLE audit.users (); CREATE TABLE audit.alone ()');
    await session.query(`INSERT INTO ${id(odd)} (owner) VALUES (NULL); ANALYZE ${id(odd)}`);
  });
});
afterAll(() => database.drop());

const look = <T>(work: (session: Session) => Promise<T>) => withSession(database.reader, {}, work);

describe('the catalog, to the role that reads only', () => {
  test('has every table with size and estimate, those in public first', async () => {
    const all = await look(relations);
    expect(all.map(({ shown }) => shown)).toEqual(
      expect.arrayContaining(['users', 'audit.users', 'audit.tool_intents', odd]),
    );
    expect(all.findIndex(({ schema }) => schema === 'audit')).toBeGreaterThan(
      all.findIndex(({ name }) => name === 'users'),
    );
    expect(all.find(({ name }) => name === odd)).toMatchObject({
      kind: 'table',
      rows: 1,
      owner: `sp_${database.name}_owner`,
      comment: 'what it is for',
    });
    expect(artifactSchema.parse(relationsTable(all))).toMatchObject({ count: all.length });
  });

  test.each([
    ['users', 'public'],
    ['public.users', 'public'],
    ['audit.users', 'audit'],
    ['alone', 'audit'],
    [odd, 'public'],
  ])('finds %s by its exact name', async (wanted, schema) => {
    expect(await look((session) => findRelation(session, wanted))).toMatchObject({ schema });
  });

  test.each([
    ['usres', ['users']],
    ['tool_intent', ['audit.tool_intents']],
    ['Users', ['users']],
    ['users; DROP TABLE users', []],
    ['', []],
  ])('names the nearest of %j', async (wanted, like) => {
    await expect(look((session) => findRelation(session, wanted))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: { like: expect.arrayContaining(like) },
      next: ['infra db tables'],
    });
  });

  test('describes columns, keys, indexes and comments', async () => {
    const description = await look((session) => describeRelation(session, odd));
    expect(description.columns).toEqual([
      { name: 'id', type: 'bigint', nullable: false, default: 'identity', key: 'primary key', comment: null },
      { name: 'a "b"', type: 'text', nullable: false, default: "'x'::text", key: 'unique', comment: null },
      {
        name: 'owner',
        type: 'uuid',
        nullable: true,
        default: null,
        key: 'references users(id) ON DELETE CASCADE',
        comment: 'whose',
      },
      { name: 'twice', type: 'integer', nullable: true, default: 'generated: (2 * 2)', key: null, comment: null },
    ]);
    expect(description.constraints).toEqual([expect.stringContaining('UNIQUE (id, owner)')]);
    expect(description.indexes).toHaveLength(3);
    const users = await look((session) => describeRelation(session, 'users'));
    expect(users.referencedBy.join()).toContain('user_sessions');
    expect(users.triggers.join()).toContain('users_touch');
    expect(artifactSchema.parse(descriptionCard(description))).toMatchObject({ title: odd });
  });

  test('lists indexes of one table and of all, and what takes up space', async () => {
    const users = await look(async (session) => indexes(session, await findRelation(session, 'users')));
    expect(users.map(({ name }) => name).sort()).toEqual([
      'users_access_changed',
      'users_email_key',
      'users_name_key',
      'users_pkey',
    ]);
    const all = await look((session) => indexes(session));
    expect(all.length).toBeGreaterThan(users.length);
    const found = await look(sizes);
    expect(found[0]).toMatchObject({ kind: 'database', name: database.name });
    expect(found.map(({ bytes }) => bytes)).toEqual([...found.map(({ bytes }) => bytes)].sort((a, b) => b - a));
    for (const table of [indexesTable(all), sizesTable(found)]) artifactSchema.parse(table);
  });
});
