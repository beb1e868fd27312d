import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingKey } from '../../../../../src/lib/domain/governance/index.ts';
import { ChainRig } from './rig.ts';

let rig: ChainRig;
beforeAll(async () => {
  rig = await ChainRig.create();
});
afterAll(() => rig[Symbol.asyncDispose]());

describe('the chain', () => {
  it('seals what is committed, once, and verifies', async () => {
    await rig.calls(3);
    await rig.event();
    expect(await rig.seal()).toBe(7);
    expect(await rig.seal()).toBe(0);
    const found = await rig.verify();
    expect(found).toMatchObject({ rows: 7, unsealed: { rows: 0 }, findings: [], findingCount: 0 });
    expect(found.head?.number).toBeGreaterThan(0);
  });

  it('takes up a row that is committed late, after others with later ids', async () => {
    let commit = () => {};
    const held = new Promise<void>((resolve) => {
      commit = resolve;
    });
    let written = () => {};
    const ready = new Promise<void>((resolve) => {
      written = resolve;
    });
    const late = rig.app.transaction(async (tx) => {
      await tx.query(`INSERT INTO identity_events (type) VALUES ('sign_out')`);
      written();
      await held;
    });
    await ready;
    try {
      await rig.calls(2);
      expect(await rig.seal()).toBe(4);
      await rig.calls(1);
      expect(await rig.seal()).toBe(2);
    } finally {
      commit();
      await late;
    }
    await rig.event();
    expect((await rig.verify()).unsealed.rows).toBe(2);
    expect(await rig.seal()).toBe(2);
    expect(await rig.verify()).toMatchObject({ findings: [], unsealed: { rows: 0 } });
  });

  it('seals a backlog in parts, and what came while it did', async () => {
    await rig.calls(25);
    await rig.owner.query(`INSERT INTO identity_events (type) SELECT 'sign_in' FROM generate_series(1, 40)`);
    expect(await rig.seal(rig.sealer, { segmentRows: 10, passSegments: 2 })).toBe(90);
    await rig.calls(1);
    expect(await rig.seal()).toBe(2);
    expect(await rig.verify()).toMatchObject({ findings: [], unsealed: { rows: 0 } });
  });

  it('goes on with a new key, for which the former one vouches', async () => {
    const former = rig.key;
    rig.key = signingKey(Buffer.alloc(32, 2).toString('base64url'));
    await rig.calls(1);
    await rig.seal(rig.sealer, { former });
    for (const trusted of [[former.id], [rig.key.id]]) expect((await rig.verify({ trusted })).findings).toEqual([]);
    const stranger = signingKey(Buffer.alloc(32, 3).toString('base64url'));
    expect((await rig.verify({ trusted: [stranger.id] })).findings).toMatchObject([{ kind: 'key_untrusted' }]);
  });

  it('verifies from a time on', async () => {
    const all = await rig.verify();
    await rig.calls(1);
    const since = new Date();
    await rig.seal();
    const part = await rig.verify({ since });
    expect(part).toMatchObject({ findings: [], rows: 2 });
    expect(part.segments).toBeLessThan(all.segments);
  });

  it('stays whole when a column comes later', async () => {
    await rig.owner.query('ALTER TABLE audit.tool_outcomes ADD COLUMN later text');
    await rig.calls(1);
    await rig.audit.query(
      `INSERT INTO audit.tool_outcomes (execution_id, status, later) VALUES (uuidv7(), 'failed', 'x')`,
    );
    await rig.seal();
    expect((await rig.verify()).findings).toEqual([]);
    await rig.tampered([`UPDATE audit.tool_outcomes SET later = 'y' WHERE later = 'x'`], async () =>
      expect((await rig.verify()).findings).toMatchObject([{ kind: 'row_changed' }]),
    );
  });
});

describe('a database that came to another server', () => {
  const positions = () =>
    rig.owner.query<{ low: number; high: number }>(
      'SELECT min(position) AS low, max(position) AS high FROM audit.tool_intents',
    );
  const adopted = async () =>
    (await rig.sealer.query<{ base: number }>('SELECT audit.adopt_server() AS base'))[0]?.base ?? 0;

  it('goes on where it was, though transactions are numbered anew: nothing is skipped, nothing sealed twice', async () => {
    // As its server had a million transactions behind it, and this one has not.
    await rig.admin.query('UPDATE audit.servers SET base = 1000000');
    expect(await adopted()).toBe(1_000_000);
    await rig.calls(2);
    await rig.seal();
    const before = await rig.verify();
    // Rows that came with the backup and that nobody had sealed there.
    await rig.calls(1);
    const [there] = await positions();
    await rig.admin.query("UPDATE audit.servers SET identifier = 'the server before'");
    const base = await adopted();
    expect(await adopted()).toBe(base);
    expect(await rig.owner.query('SELECT FROM audit.servers')).toHaveLength(2);
    await rig.calls(3);
    const [here] = await positions();
    expect(here?.high).toBeGreaterThan(there?.high ?? Number.POSITIVE_INFINITY);
    expect(await rig.seal()).toBe(8);
    expect(await rig.seal()).toBe(0);
    const after = await rig.verify();
    expect(after).toMatchObject({ findings: before.findings, unsealed: { rows: 0 }, rows: before.rows + 8 });
    const noted = { number: before.head?.number ?? 0, hash: before.head?.hash ?? '' };
    expect((await rig.verify({ noted })).findings).toEqual(before.findings);
  });

  it('adds nothing where transactions are already beyond', async () => {
    await rig.admin.query(
      "UPDATE audit.servers SET identifier = 'a small one' WHERE number = (SELECT max(number) FROM audit.servers)",
    );
    await rig.tampered(
      [
        'DELETE FROM audit.tool_intents',
        'DELETE FROM audit.tool_outcomes',
        'DELETE FROM identity_events',
        'DELETE FROM audit.segments',
        'DELETE FROM audit.checkpoints',
      ],
      async () => expect(await adopted()).toBe(0),
    );
    await rig.calls(1);
    expect(await rig.seal()).toBe(2);
    expect((await rig.verify()).findings).toEqual([]);
  });
});
