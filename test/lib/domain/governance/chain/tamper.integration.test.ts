import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FindingKind, type Verification, verifyChain } from '../../../../../src/lib/domain/governance/index.ts';
import type { Queryable } from '../../../../../src/lib/infra/database/connection.ts';
import { ChainRig } from './rig.ts';

const tables = ['audit.tool_intents', 'audit.tool_outcomes', 'identity_events', 'audit.segments', 'audit.checkpoints'];

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
}

let rig: ChainRig;
let columns: Column[];
let noted: { number: number; hash: string };

beforeAll(async () => {
  rig = await ChainRig.create();
  for (let round = 0; round < 3; round += 1) {
    await rig.calls(4);
    await rig.event();
    await rig.seal(rig.sealer, { segmentRows: 3 });
  }
  columns = await rig.admin.query<Column>(
    `SELECT t AS table, a.attname AS name, format_type(a.atttypid, NULL) AS type
     FROM unnest($1::text[]) t JOIN pg_attribute a ON a.attrelid = t::regclass AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY t, a.attnum`,
    [tables],
  );
  noted = (await rig.verify()).head ?? { number: 0, hash: '' };
});
afterAll(() => rig[Symbol.asyncDispose]());

class Undone extends Error {}

type Work = (tx: Queryable) => Promise<unknown>;
/** Does what nobody may do, verifies, and takes it back. @returns nothing when it can't be done */
type Tamper = (work: Work) => Promise<Verification | undefined>;

/** Opens the tables past triggers and checks, which takes longer than any tampering, and closes them again. */
async function opened(use: (tamper: Tamper) => Promise<void>): Promise<void> {
  await rig.admin
    .transaction(async (tx) => {
      await tx.query("SET LOCAL TIME ZONE 'UTC'");
      await tx.query(`DO $$ DECLARE t text; c record; BEGIN
        FOREACH t IN ARRAY ARRAY['${tables.join("','")}'] LOOP
          EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', t);
          FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = t::regclass AND contype IN ('c', 'p', 'u') LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', t, c.conname);
          END LOOP;
        END LOOP;
        ALTER TABLE identity_events ALTER id DROP IDENTITY;
        END $$`);
      await tx.query('SAVEPOINT whole');
      await use(async (work) => {
        const done = await work(tx).then(
          () => true,
          () => false,
        );
        const found = done ? await verifyChain(tx, { trusted: [rig.key.id], noted }) : undefined;
        await tx.query('ROLLBACK TO SAVEPOINT whole');
        return found;
      });
      throw new Undone();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undone)) throw error;
    });
}

/** The same for one. */
async function tampered(work: Work): Promise<Verification | undefined> {
  let found: Verification | undefined;
  await opened(async (tamper) => {
    found = await tamper(work);
  });
  return found;
}

/** SQL of a value of the column's type that differs in one place. @param at where, from 0 to 1 */
function flipped({ name, type }: Column, at: number): string {
  const c = `"${name}"`;
  const index = (length: string) => `floor(${at} * ${length})::int`;
  const text = (value: string) =>
    `overlay(${value} placing chr(CASE ascii(substr(${value}, 1 + ${index(`length(${value})`)}, 1)) WHEN 65 THEN 66 ELSE 65 END)
      from 1 + ${index(`length(${value})`)} for 1)`;
  const bits = Math.floor(at * 62);
  switch (type) {
    case 'bytea':
      return `CASE WHEN length(${c}) = 0 THEN '\\x00'::bytea
        ELSE set_byte(${c}, ${index(`length(${c})`)}, get_byte(${c}, ${index(`length(${c})`)}) # ${1 << Math.floor(at * 8)}) END`;
    case 'bigint':
      return `coalesce(${c}, 0) # (1::bigint << ${bits})`;
    case 'integer':
      return `${c} # (1 << ${bits % 30})`;
    case 'smallint':
      return `(${c} # (1 << ${bits % 14}))::smallint`;
    case 'timestamp with time zone':
      // Segments and checkpoints keep milliseconds.
      return `${c} + interval '1 ms' * ${at < 0.5 ? 1 : -1} * (1 + ${Math.floor(at * 1000)})`;
    case 'uuid':
      return `coalesce(overlay(${c}::text placing CASE right(${c}::text, 1) WHEN 'a' THEN 'b' ELSE 'a' END from 36)::uuid, gen_random_uuid())`;
    case 'jsonb':
      return `coalesce(${c}, '{}') || '{"more": null}'`;
    case 'text[]':
      return `${c} || '{A}'`;
    case 'bigint[]':
      return `${c} || 5::bigint`;
    default:
      return `CASE WHEN coalesce(${c}, '') = '' THEN 'A' ELSE ${text(c)} END`;
  }
}

const flip = (column: Column, row: number, at: number) => (tx: Queryable) =>
  tx.query(
    `UPDATE ${column.table} SET "${column.name}" = ${flipped(column, at)}
     WHERE ctid = (SELECT ctid FROM ${column.table} ORDER BY ctid OFFSET ${row} % (SELECT count(*) FROM ${column.table}) LIMIT 1)`,
  );

describe('verify', () => {
  it('finds nothing in what is whole, and says nothing of what was undone', async () => {
    expect(await tampered(async () => {})).toMatchObject({ findings: [], unsealed: { rows: 0 } });
  });

  it('finds a change of any column', async () => {
    await opened(async (tamper) => {
      for (const column of columns) {
        for (const at of [0, 0.99]) {
          const found = await tamper(flip(column, 3, at));
          expect(found?.findingCount, `${column.table}.${column.name} (${column.type})`).toBeGreaterThan(0);
        }
      }
    });
  });

  it('finds any flipped byte in any row', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(columns.length - 1),
        fc.nat(50),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (column, row, at) => {
          const found = await tampered(flip(columns[column] as Column, row, at));
          expect(found?.findingCount).toBeGreaterThan(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  const copyOf = (table: string, changes: string, where: string) =>
    `INSERT INTO ${table} SELECT (jsonb_populate_record(t, ${changes})).* FROM ${table} t WHERE ${where}`;
  const oneIntent = '(SELECT execution_id FROM audit.tool_intents ORDER BY 1 LIMIT 1)';
  const cases: readonly [string, readonly string[], FindingKind][] = [
    ['a row that is deleted', [`DELETE FROM audit.tool_intents WHERE execution_id = ${oneIntent}`], 'row_missing'],
    [
      'a row that is added among those that are sealed',
      [copyOf('audit.tool_intents', `jsonb_build_object('execution_id', uuidv7())`, `t.execution_id = ${oneIntent}`)],
      'row_inserted',
    ],
    [
      'an event that is added with a number of before',
      [copyOf('identity_events', `jsonb_build_object('id', 0)`, 'id = (SELECT min(id) FROM identity_events)')],
      'row_inserted',
    ],
    [
      'two rows that change places',
      [
        `UPDATE audit.tool_outcomes SET execution_id = CASE execution_id WHEN a.x THEN a.y ELSE a.x END
         FROM (SELECT min(execution_id::text)::uuid AS x, max(execution_id::text)::uuid AS y FROM audit.tool_outcomes) a
         WHERE execution_id IN (a.x, a.y)`,
      ],
      'row_missing',
    ],
    ['a segment that is gone', ['DELETE FROM audit.segments WHERE number = 4'], 'segment_missing'],
    ['a checkpoint that is gone', ['DELETE FROM audit.checkpoints WHERE number = 2'], 'checkpoint_missing'],
    [
      'an end that is cut off, rows and all',
      [
        'DELETE FROM audit.tool_intents t USING (SELECT max(until_end) AS e FROM audit.segments WHERE number <= (SELECT segment FROM audit.checkpoints WHERE number = 2)) s WHERE t.position >= s.e',
        'DELETE FROM audit.segments WHERE number > (SELECT segment FROM audit.checkpoints WHERE number = 2)',
        'DELETE FROM audit.checkpoints WHERE number > 2',
      ],
      'truncated',
    ],
    ['a chain that is gone as a whole', ['DELETE FROM audit.segments', 'DELETE FROM audit.checkpoints'], 'truncated'],
    [
      'a checkpoint whose signature is of another',
      [
        'UPDATE audit.checkpoints c SET signature = (SELECT signature FROM audit.checkpoints WHERE number = 1) WHERE number = 2',
      ],
      'checkpoint_forged',
    ],
  ];
  it.each(cases)('finds %s', async (_, statements, kind) => {
    const found = await tampered(async (tx) => {
      for (const sql of statements) await tx.query(sql);
    });
    expect(found?.findings.map((finding) => finding.kind)).toContain(kind);
  });

  it('finds rows that outlive their retention, and rows deleted without it', async () => {
    const [last] = await rig.app.query<{ number: number }>('SELECT max(number) AS number FROM audit.segments');
    await rig.owner.query(
      `WITH someone AS (INSERT INTO users (name, display_name, roles) VALUES ('kim', 'Kim', '{user}') RETURNING id)
       INSERT INTO tool_artifacts (execution_id, user_id, server, tool, type, bytes, created_at, expires_at)
       SELECT uuidv7(), id, 'alpha', 'echo', 'text', 1, now() + old, now() + interval '9 days'
       FROM someone, unnest('{-1 day, 1 day}'::interval[]) old`,
    );
    expect(await rig.prune(Number(last?.number))).toBe(27);
    await rig.seal();
    expect(await rig.app.query('SELECT FROM audit.tool_intents')).toEqual([]);
    expect(await rig.app.query('SELECT FROM tool_artifacts')).toHaveLength(1);
    const whole = await rig.verify({ trusted: [rig.key.id], noted });
    expect(whole).toMatchObject({ findings: [], pruned: 27, rows: 1, unsealed: { rows: 0 } });
    const insert = `INSERT INTO audit.tool_outcomes (execution_id, status, position) VALUES (uuidv7(), 'success', 1)`;
    const found = await tampered((tx) => tx.query(insert));
    expect(found?.findings).toMatchObject([{ kind: 'row_inserted' }]);
    const forged = await tampered((tx) =>
      tx.query(
        `UPDATE audit.segments SET note = replace(note, '"through":', '"through":9') WHERE source = 'retention'`,
      ),
    );
    expect(forged?.findings.map((finding) => finding.kind)).toContain('segment_damaged');
  });
});

describe('rights on the chain', () => {
  it('are: the sealer adds, the application reads, nobody changes, and the reader sees no digest', async () => {
    await rig.calls(1);
    await rig.seal();
    const reader = await import('../../../../../src/lib/infra/database/session.ts').then(
      ({ withSession }) =>
        (sql: string) =>
          withSession(rig.test.reader, {}, (session) => session.query(sql)),
    );
    const refused = [
      [rig.sealer, 'UPDATE audit.segments SET leaves = 0'],
      [rig.sealer, 'DELETE FROM audit.checkpoints'],
      [rig.sealer, 'DELETE FROM audit.tool_intents'],
      [rig.sealer, `INSERT INTO audit.tool_outcomes (execution_id, status) VALUES (uuidv7(), 'success')`],
      [rig.sealer, 'SELECT * FROM users'],
      [rig.app, 'DELETE FROM audit.segments'],
      [rig.app, 'SELECT audit.prune()'],
      [rig.app, 'SELECT audit.adopt_server()'],
      [rig.audit, 'SELECT * FROM audit.segments'],
      [rig.audit, 'SELECT audit.prune()'],
      [rig.owner, 'DELETE FROM audit.segments'],
      [rig.owner, 'DELETE FROM audit.tool_intents'],
      [rig.owner, `SELECT set_config('systemprompt.audit_prune', 'yes', false); DELETE FROM audit.tool_intents`],
      [rig.owner, `SELECT set_config('systemprompt.audit_prune', 'yes', false); DELETE FROM identity_events`],
      [{ query: reader }, 'SELECT leaf_digests FROM audit.segments'],
      [{ query: reader }, 'SELECT signature FROM audit.checkpoints'],
    ] as const;
    for (const [database, sql] of refused) {
      await expect(database.query(sql), sql).rejects.toThrow(/permission denied|append-only/);
    }
    expect(await reader('SELECT number, source, leaves, sealed_at FROM audit.segments')).not.toEqual([]);
  });
});
