import { hash } from 'node:crypto';
import type { Queryable } from '../../../infra/database/connection.ts';

const sweepEveryMs = 60_000;

/**
 * What may be shown once: proofs of possession and signed assertions, in the database, so that none counts twice
 * whichever API process it is shown to. One statement decides it: of two at the same time one wins.
 */
export class SingleUse {
  readonly #database: Queryable;
  #swept = performance.now();

  constructor(database: Queryable) {
    this.#database = database;
  }

  /**
   * Whether this is the first time.
   * @param owner whose it is: ids of different owners never meet
   * @param expiresAt seconds since the epoch from which on it is refused for its age anyway
   */
  async first(owner: string, id: string, expiresAt: number): Promise<boolean> {
    this.#sweep();
    const key = hash('sha256', JSON.stringify([owner, id]), 'buffer');
    const rows = await this.#database.query(
      `INSERT INTO dpop_proofs (proof, expires_at) VALUES ($1, to_timestamp($2))
       ON CONFLICT (proof) DO NOTHING
       RETURNING proof`,
      [key, expiresAt],
      { name: 'single_use' },
    );
    return rows.length > 0;
  }

  #sweep(): void {
    if (performance.now() - this.#swept < sweepEveryMs) return;
    this.#swept = performance.now();
    this.#database
      .query("DELETE FROM dpop_proofs WHERE expires_at < now() - interval '1 minute'")
      .catch(() => undefined); // the next one tries again
  }
}
