import type { Database } from '../../infra/database/connection.ts';
import type { ProofLedger } from './dpop.ts';

/** Most proofs of one statement; more wait for the next. */
const batchSize = 500;
interface Waiting {
  readonly digest: Uint8Array;
  readonly expiresAt: Date;
  readonly resolve: (first: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Proofs that were seen, in the database: all API processes share it, so a proof counts once among all of them. What
 * comes while a statement runs goes along with the next one, so the cost of one proof falls as their number rises. At
 * most those of the last two minutes or three are kept.
 */
export class DatabaseProofs implements ProofLedger {
  readonly #database: Database;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(database: Database) {
    this.#database = database;
  }

  first(digest: Uint8Array, expiresAt: Date): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ digest, expiresAt, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  /** Removes what no longer counts. */
  async sweep(): Promise<void> {
    await this.#database.query("DELETE FROM dpop_proofs WHERE expires_at < now() - interval '1 minute'");
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchSize);
      this.#waiting = this.#waiting.slice(batchSize);
      try {
        const fresh = await this.#insert(batch);
        for (const { digest, resolve } of batch) resolve(fresh.delete(hex(digest)));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }

  async #insert(batch: readonly Waiting[]): Promise<Set<string>> {
    const rows = await this.#database.query<{ proof: Buffer }>(
      `INSERT INTO dpop_proofs (proof, expires_at)
       SELECT * FROM unnest($1::bytea[], $2::timestamptz[]) ON CONFLICT (proof) DO NOTHING RETURNING proof`,
      [batch.map(({ digest }) => Buffer.from(digest)), batch.map(({ expiresAt }) => expiresAt)],
      { name: 'dpop_proofs_insert' },
    );
    // One that is there twice in a batch is fresh for the first alone.
    return new Set(rows.map(({ proof }) => hex(proof)));
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
