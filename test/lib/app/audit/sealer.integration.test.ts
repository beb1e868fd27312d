import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sealer, type SealerOptions, type SealerStep } from '../../../../src/lib/app/audit/sealer.ts';
import { closeInterrupted } from '../../../../src/lib/domain/governance/index.ts';
import { until } from '../../../helpers/until.ts';
import { ChainRig } from '../../domain/governance/chain/rig.ts';

let rig: ChainRig;
beforeAll(async () => {
  rig = await ChainRig.create();
});
afterAll(() => rig[Symbol.asyncDispose]());

const quick = { passMs: 20, standByMs: 20 };

function open(options: Partial<SealerOptions> = {}): Sealer {
  return new Sealer({
    connection: rig.test.sealer,
    keys: async () => ({ key: rig.key, former: async () => undefined }),
    log: { info: () => {}, warn: () => {} },
    ...quick,
    ...options,
  });
}

const unsealed = async () => (await rig.verify()).unsealed.rows;
/** Ends the connection of whoever is the sealer, as the end of its process does. */
const cut = () =>
  rig.admin.query(
    `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'systemprompt-sealer' AND a.datname = $1`,
    [rig.test.name],
  );

describe('the sealer', () => {
  it('seals within a second what is committed, and what is written last when it ends', async () => {
    const sealer = open({ passMs: 400 });
    await until('it is at work', () => sealer.active);
    await rig.calls(5);
    const since = performance.now();
    await until('all is sealed', async () => (await unsealed()) === 0);
    expect(performance.now() - since).toBeLessThan(5_000); // a second, and the machine's load
    await rig.calls(1);
    await sealer.close();
    expect(await unsealed()).toBe(0);
  });

  it('is one of several, and another takes over when its connection is gone', async () => {
    const sealers = [open(), open(), open()];
    await until('one is at work', () => sealers.some(({ active }) => active));
    for (let round = 0; round < 3; round += 1) {
      const before = sealers.filter(({ active }) => active);
      expect(before).toHaveLength(1);
      await rig.calls(3);
      await cut();
      await rig.calls(3);
      await until('all is sealed', async () => (await unsealed()) === 0);
    }
    await Promise.all(sealers.map((sealer) => sealer.close()));
    expect(await rig.verify()).toMatchObject({ findings: [], unsealed: { rows: 0 } });
  });

  it.each<SealerStep>(['locked', 'sealing', 'sealed', 'committed'])(
    'loses nothing when it is cut off after the step %s',
    async (step) => {
      let times = 0;
      await rig.calls(3);
      const sealer = open({
        onStep: async (now) => {
          if (now === step && times++ < 2) await cut();
        },
      });
      await until('it was cut off twice, and all is sealed', async () => {
        if (times < 3) await rig.calls(1);
        return times > 2 && (await unsealed()) === 0;
      });
      await sealer.close();
      expect(await rig.verify()).toMatchObject({ findings: [], unsealed: { rows: 0 } });
    },
  );

  it('takes up outcomes that are written for a process that has ended', async () => {
    const [row] = await rig.audit.query<{ id: string }>('SELECT gen_random_uuid() AS id');
    const instance = row?.id ?? '';
    await rig.audit.query(
      `INSERT INTO audit.tool_intents (execution_id, api_instance, server, tool, user_id, user_name, session_id, scopes, required,
         input_digest, input, decision, started_at)
       VALUES (uuidv7(), $1, 'a', 't', 'u', 'n', 's', '{}', '{}', '', '{}', 'allowed', now())`,
      [instance],
    );
    const sealer = open();
    await until('the intent is sealed', async () => (await unsealed()) === 0);
    expect(await closeInterrupted(rig.app, instance)).toBe(1);
    await until('the outcome is sealed', async () => (await unsealed()) === 0);
    await sealer.close();
    expect((await rig.verify()).findings).toEqual([]);
  });

  it('deletes by whole segments what is old enough, though it is cut off in the midst of it', async () => {
    const before = await rig.verify();
    // The clock of the chain can't be turned back: what was sealed by now is old for one who keeps rows for no time.
    let times = 0;
    const sealer = open({
      retentionDays: 0,
      retentionMs: 50,
      onStep: async (now) => {
        if (now === 'pruned' && times++ === 0) await cut();
      },
    });
    await until('all of it is gone', async () => {
      const rows = await rig.app.query('SELECT FROM audit.tool_intents');
      return rows.length === 0;
    });
    await sealer.close();
    const after = await rig.verify();
    expect(after.findings).toEqual([]);
    expect(after.pruned).toBeGreaterThanOrEqual(before.rows);
    expect(await rig.app.query(`SELECT FROM identity_events WHERE type = 'audit_pruned'`)).not.toEqual([]);
  });
});
