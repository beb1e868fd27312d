import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeInterrupted, verifyChain } from '../../src/lib/domain/governance/index.ts';
import { ApiRig } from '../helpers/api-rig.ts';
import { type RunningFixture, runFixture } from '../helpers/run-fixture.ts';
import { until } from '../helpers/until.ts';

/*
 * What clients were told, what the server ran, and what the tables say, compared after the API or the database was
 * killed in the middle of it.
 */

let rig: ApiRig;
let backend: RunningFixture;
let journal: string;
let token: string;

beforeAll(async () => {
  rig = await ApiRig.create(['alpha']);
  journal = join(rig.embedded.instance.root, 'executed');
  backend = runFixture('mcp/backend.mjs', [journal]);
  await rig.announce('alpha', Number(await backend.line()));
  token = await rig.token('alpha');
});
afterAll(async () => {
  backend.process.stdin?.end();
  await backend.ended();
  await rig.remove();
});

interface Told {
  /** Execution ids of answers that came whole, with status 200. */
  readonly acknowledged: Set<string>;
  /** Statuses of all other answers. */
  readonly refused: Map<number, number>;
  /** Requests without an answer. */
  broken: number;
}

/** Clients that call one after another until they are stopped; an unreachable API does not stop them. */
class Load {
  readonly told: Told = { acknowledged: new Set(), refused: new Map(), broken: 0 };
  readonly #agent = new Agent({ keepAlive: true });
  readonly #clients: Promise<void>[];
  #stopped = false;

  constructor(count: number) {
    this.#clients = Array.from({ length: count }, (_, index) => this.#client(index));
  }

  async stop(): Promise<Told> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
    return this.told;
  }

  async #client(index: number): Promise<void> {
    for (let id = 0; !this.#stopped; id += 1) {
      // Some calls last, so that there are always some under way; some of them stream.
      const [name, args] =
        id % 3 === 0 ? ['slow', { ms: 10 + index }] : id % 3 === 1 ? ['echo', { id }] : ['stream', {}];
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
      const reply = await this.#send(body).catch(() => undefined);
      if (reply === undefined) {
        this.told.broken += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      } else if (reply.status === 200 && reply.text.includes('"result"')) {
        // A stream that had begun has no header left for its id; the row is looked up by the others.
        if (reply.id !== undefined) this.told.acknowledged.add(reply.id);
      } else {
        this.told.refused.set(reply.status, (this.told.refused.get(reply.status) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  #send(body: string): Promise<{ status: number; id: string | undefined; text: string }> {
    return new Promise((resolve, reject) => {
      const req = request(rig.endpoint('alpha'), {
        method: 'POST',
        agent: this.#agent,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
      });
      req.on('error', reject).on('response', (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        res.on('error', reject).on('end', () => {
          const id = res.headers['x-systemprompt-execution-id'];
          resolve({ status: res.statusCode ?? 0, id: typeof id === 'string' ? id : undefined, text });
        });
      });
      req.end(body);
    });
  }
}

interface Row {
  readonly id: string;
  readonly status: string | null;
}

const rowsOf = (instance: string) =>
  rig.database.query<Row>(
    `SELECT i.execution_id AS id, o.status FROM audit.tool_intents i LEFT JOIN audit.tool_outcomes o USING (execution_id)
     WHERE i.api_instance = $1`,
    [instance],
  );

const executed = () =>
  readFileSync(journal, 'utf8')
    .split('\n')
    .filter((line) => line !== '');

async function expectTruth(told: Told, instance: string, executedBefore: number): Promise<Map<string, string | null>> {
  const rows = new Map((await rowsOf(instance)).map(({ id, status }) => [id, status]));
  const unrecorded = executed()
    .slice(executedBefore)
    .filter((id) => !rows.has(id));
  expect(unrecorded, 'executed calls without an intent').toEqual([]);
  const untrue = [...told.acknowledged].filter((id) => rows.get(id) !== 'success');
  expect(untrue, 'acknowledged calls without their outcome').toEqual([]);
  const orphans = await rig.database.query(
    'SELECT 1 FROM audit.tool_outcomes o WHERE NOT EXISTS (SELECT FROM audit.tool_intents i WHERE i.execution_id = o.execution_id)',
  );
  expect(orphans, 'outcomes without an intent').toEqual([]);
  return rows;
}

describe('the audit tells the truth', () => {
  it.each([1, 2, 3])('when the API is killed under load (round %i)', async (round) => {
    const { child, instance } = await rig.startApi();
    const before = round === 1 ? 0 : executed().length;
    const load = new Load(24);
    await until('enough calls were answered', () => load.told.acknowledged.size > 300 * round, 60_000);
    await rig.kill(child, 'SIGKILL');
    const told = await load.stop();
    expect(told.broken).toBeGreaterThan(0);
    // As the supervisor does when the process has ended.
    const interrupted = await closeInterrupted(rig.database, instance);
    const rows = await expectTruth(told, instance, before);
    const statuses = [...rows.values()];
    expect(statuses.filter((status) => status === null)).toEqual([]);
    expect(statuses.filter((status) => status === 'interrupted')).toHaveLength(interrupted);
    expect(interrupted).toBeGreaterThan(0);
    expect(await closeInterrupted(rig.database, instance)).toBe(0);
  });

  it('when the database is killed under load, and comes back', async () => {
    const { child, instance } = await rig.startApi();
    const before = executed().length;
    const load = new Load(24);
    await until('enough calls were answered', () => load.told.acknowledged.size > 300);
    await rig.crashPostgres();
    await until('calls are refused', () => (load.told.refused.get(503) ?? 0) > 20);
    // What was under way has come to its end by now: without the audit nothing new may run.
    await until('the server has nothing to do', async () => {
      const count = executed().length;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return executed().length === count;
    });
    const quiet = executed().length;
    const refused = load.told.refused.get(503) ?? 0;
    await until('more calls are refused', () => (load.told.refused.get(503) ?? 0) > refused + 200);
    expect(executed()).toHaveLength(quiet);

    await rig.restartPostgres();
    const answered = load.told.acknowledged.size;
    await until('calls go through again', () => load.told.acknowledged.size > answered + 300, 20_000);
    const told = await load.stop();
    await rig.kill(child, 'SIGTERM');
    const rows = await expectTruth(told, instance, before);
    // Nothing is left for whoever comes after: each call has the outcome that this process knew.
    expect(await closeInterrupted(rig.database, instance)).toBe(0);
    expect([...rows.values()].filter((status) => status === null)).toEqual([]);
    expect([...rows.values()].filter((status) => status === 'success').length).toBeGreaterThanOrEqual(
      told.acknowledged.size,
    );
  });

  it('when both are killed', async () => {
    const { child, instance } = await rig.startApi();
    const before = executed().length;
    const load = new Load(24);
    await until('enough calls were answered', () => load.told.acknowledged.size > 300);
    await Promise.all([rig.crashPostgres(), rig.kill(child, 'SIGKILL')]);
    const told = await load.stop();
    await rig.restartPostgres();
    await until('the database answers', async () => {
      const rows = await rig.database.query('SELECT 1').catch(() => undefined);
      return rows !== undefined;
    });
    await closeInterrupted(rig.database, instance);
    const rows = await expectTruth(told, instance, before);
    expect([...rows.values()].filter((status) => status === null)).toEqual([]);
  });

  it('and the chain has every row of it, each once', async () => {
    const { child } = await rig.startApi();
    const verify = () =>
      rig.database.transaction(async (tx) => {
        await tx.query("SET LOCAL TIME ZONE 'UTC'");
        return verifyChain(tx);
      });
    await until('all is sealed', async () => (await verify()).unsealed.rows === 0, 20_000);
    const [rows] = await rig.database.query<{ count: number }>(
      `SELECT (SELECT count(*) FROM audit.tool_intents) + (SELECT count(*) FROM audit.tool_outcomes)
        + (SELECT count(*) FROM identity_events) AS count`,
    );
    expect(await verify()).toMatchObject({ findings: [], rows: rows?.count });
    await rig.kill(child, 'SIGTERM');
  });
});
