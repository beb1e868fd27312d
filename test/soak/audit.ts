import { readFileSync } from 'node:fs';
import { type Verification, verifyChain } from '../../src/lib/domain/governance/index.ts';
import type { Database } from '../../src/lib/infra/database/connection.ts';
import { until } from '../helpers/until.ts';
import type { Told } from './load.ts';
import type { SoakSystem } from './system.ts';

/** What clients were told and what servers ran, against the rows. All but the counts should be empty. */
export interface AuditReport {
  readonly intents: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly matching: number;
  /** Acknowledged calls whose rows are missing, doubled or say something else. */
  readonly untrue: readonly string[];
  /** Calls that a server ran without an intent. */
  readonly unrecorded: readonly string[];
  /** Calls that a server ran twice. */
  readonly ranTwice: readonly string[];
  readonly outcomesWithoutIntent: number;
  /** Calls that succeeded on record, and no server ran them. */
  readonly invented: readonly string[];
  /** Intents without an outcome: of processes that ended, and nobody closed them. */
  readonly open: number;
  /** What `admin audit verify` says in the end. */
  readonly chain: { readonly rows: number; readonly unsealed: number; readonly findings: readonly string[] };
}

interface Row {
  readonly id: string;
  readonly call: string | null;
  readonly server: string;
  readonly tool: string;
  readonly status: string | null;
}

const shown = 20;
const settleMs = 15_000;

/** Reads every row of the audit and compares. */
export async function compareAudit(system: SoakSystem, told: Told): Promise<AuditReport> {
  const database = await system.openDatabase();
  try {
    const openIntents = async (): Promise<number> => {
      const [row] = await database.query<{ count: string }>(
        `SELECT count(*) AS count FROM audit.tool_intents i
         WHERE NOT EXISTS (SELECT FROM audit.tool_outcomes o WHERE o.execution_id = i.execution_id)`,
      );
      return Number(row?.count);
    };
    await until('no call is open', async () => (await openIntents()) === 0, settleMs).catch(() => false);
    const chain = await verifiedChain(database);
    const rows = await database.query<Row>(
      `SELECT i.execution_id AS id, i.input ->> 'call' AS call, i.server, i.tool, o.status
       FROM audit.tool_intents i LEFT JOIN audit.tool_outcomes o USING (execution_id)`,
    );
    const [stray] = await database.query<{ count: string }>(
      `SELECT count(*) AS count FROM audit.tool_outcomes o
       WHERE NOT EXISTS (SELECT FROM audit.tool_intents i WHERE i.execution_id = o.execution_id)`,
    );
    const byCall = Map.groupBy(rows, ({ call }) => call ?? '');
    const untrue = [...told.acknowledged].flatMap(([call, { server, tool, executionId }]) => {
      const found = byCall.get(call) ?? [];
      const [row] = found;
      const good =
        found.length === 1 &&
        row?.status === 'success' &&
        row.server === server &&
        row.tool === tool &&
        (executionId === undefined || executionId === row.id);
      return good ? [] : [`${call} (${server} ${tool}, ${executionId ?? 'id not seen'}): ${JSON.stringify(found)}`];
    });
    const ran = readFileSync(system.journal, 'utf8').split('\n').filter(Boolean);
    const twice = [...Map.groupBy(ran, (call) => call)].filter(([, times]) => times.length > 1).map(([call]) => call);
    const executed = new Set(ran);
    const outcomes = Map.groupBy(rows, ({ status }) => status ?? 'open');
    return {
      intents: rows.length,
      outcomes: Object.fromEntries([...outcomes].map(([status, list]) => [status, list.length])),
      acknowledged: told.acknowledged.size,
      matching: told.acknowledged.size - untrue.length,
      untrue: untrue.slice(0, shown),
      unrecorded: [...executed].filter((call) => !byCall.has(call)).slice(0, shown),
      ranTwice: twice.slice(0, shown),
      outcomesWithoutIntent: Number(stray?.count),
      invented: rows
        .flatMap(({ call, status }) => (status === 'success' && !executed.has(call ?? '') ? [`${call}`] : []))
        .slice(0, shown),
      open: rows.filter(({ status }) => status === null).length,
      chain,
    };
  } finally {
    await database.close();
  }
}

/** Verifies the chain once all that is committed was sealed. */
async function verifiedChain(database: Database): Promise<AuditReport['chain']> {
  const verify = (): Promise<Verification> =>
    database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      await tx.query("SET LOCAL TIME ZONE 'UTC'");
      return verifyChain(tx);
    });
  await until('all is sealed', async () => (await verify()).unsealed.rows === 0, settleMs).catch(() => false);
  const { rows, unsealed, findings } = await verify();
  return {
    rows,
    unsealed: unsealed.rows,
    findings: findings.map(({ kind, message }) => `${kind}: ${message}`).slice(0, shown),
  };
}
