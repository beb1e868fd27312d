import { randomUUID } from 'node:crypto';
import {
  anyUnsealed,
  type ChainHead,
  chainHead,
  newExecutionId,
  pruneThrough,
  type SealOptions,
  type SigningKey,
  sealPass,
  signingKey,
  type Verification,
  type VerifyOptions,
  verifyChain,
} from '../../../../../src/lib/domain/governance/index.ts';
import { type Database, openDatabase } from '../../../../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from '../../../../helpers/database.ts';

/** A chain on a database of its own, with a sealer that does one step when it is told to. */
export class ChainRig implements AsyncDisposable {
  readonly test: TestDatabase;
  readonly owner: Database;
  readonly admin: Database;
  readonly app: Database;
  readonly audit: Database;
  readonly sealer: Database;
  key: SigningKey = signingKey(Buffer.alloc(32, 1).toString('base64url'));
  head: ChainHead | undefined;

  private constructor(test: TestDatabase) {
    this.test = test;
    this.owner = openDatabase(test.owner, { poolSize: 3 });
    this.admin = openDatabase(test.admin, { poolSize: 2 });
    this.app = openDatabase(test.app, { poolSize: 2, actor: 'system' });
    this.audit = openDatabase(test.audit, { poolSize: 2 });
    this.sealer = openDatabase(test.sealer, { poolSize: 2 });
  }

  static async create(): Promise<ChainRig> {
    return new ChainRig(await createTestDatabase());
  }

  /** Adds calls with their outcomes. @returns their ids */
  async calls(count: number, database = this.audit): Promise<string[]> {
    const ids = Array.from({ length: count }, () => newExecutionId() as string);
    await database.query(
      `INSERT INTO audit.tool_intents (execution_id, api_instance, server, tool, user_id, user_name, session_id, client, scopes,
         required, input_digest, input, decision, started_at)
       SELECT e::uuid, $2::uuid, 'alpha', 'echo', 'u1', 'ada', 's1', NULL, '{user}', '{user}', repeat('a', 64),
         jsonb_build_object('call', e, 'nothing', NULL), 'allowed', now() FROM unnest($1::text[]) e`,
      [ids, randomUUID()],
    );
    await database.query(
      `INSERT INTO audit.tool_outcomes (execution_id, status, latency_us) SELECT e::uuid, 'success', 7 FROM unnest($1::text[]) e`,
      [ids],
    );
    return ids;
  }

  async event(type = 'sign_in'): Promise<void> {
    await this.app.query(`INSERT INTO identity_events (type, data) VALUES ($1, '{"a": null}')`, [type]);
  }

  /** Seals what there is, as one who has just taken the lock. @returns how many rows */
  async seal(database: Database = this.sealer, options: Partial<SealOptions> = {}): Promise<number> {
    let rows = 0;
    let head = await chainHead(database);
    const [base] = await database.query<{ base: number }>('SELECT audit.adopt_server() AS base');
    for (let more = true; more; ) {
      const sealed = await database.transaction(async (tx) => {
        await tx.query("SET LOCAL TIME ZONE 'UTC'");
        return sealPass(tx, head, { key: this.key, base: base?.base ?? 0, ...options });
      });
      rows += sealed.rows;
      head = sealed.head;
      more = sealed.more;
    }
    if (await anyUnsealed(database, head)) throw new Error('there is more to seal');
    return rows;
  }

  async prune(through: number): Promise<number> {
    const head = await chainHead(this.sealer);
    return this.sealer.transaction(
      async (tx) => (await pruneThrough(tx, head, { key: this.key, through, before: new Date().toISOString() })).rows,
    );
  }

  verify(options: VerifyOptions = {}, database: Database = this.app): Promise<Verification> {
    return database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await tx.query("SET LOCAL TIME ZONE 'UTC'");
      return verifyChain(tx, options);
    });
  }

  /** What nobody may do, done by the owner past the triggers and then taken back. */
  async tampered<T>(statements: readonly string[], look: () => Promise<T>): Promise<T> {
    const tables = [
      'audit.tool_intents',
      'audit.tool_outcomes',
      'identity_events',
      'audit.segments',
      'audit.checkpoints',
    ];
    await this.admin.transaction(async (tx) => {
      for (const table of tables) await tx.query(`ALTER TABLE ${table} DISABLE TRIGGER ALL`);
      for (const sql of statements) await tx.query(sql);
    });
    return look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.owner, this.admin, this.app, this.audit, this.sealer].map((database) => database.close()));
    await this.test.drop();
  }
}
