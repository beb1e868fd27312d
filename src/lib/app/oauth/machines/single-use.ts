import { hash } from 'node:crypto';
import { DatabaseProofs } from '../../../domain/auth/index.ts';
import type { Database } from '../../../infra/database/connection.ts';

/** What may be shown once, proofs of possession and signed assertions, to whichever API process. */
export class SingleUse {
  readonly #ledger: DatabaseProofs;

  constructor(database: Database) {
    this.#ledger = new DatabaseProofs(database);
  }

  /**
   * Whether this is the first time.
   * @param owner whose it is: ids of different owners never meet
   * @param expiresAt seconds since the epoch from which on it is refused for its age anyway
   */
  first(owner: string, id: string, expiresAt: number): Promise<boolean> {
    const digest = hash('sha256', JSON.stringify(['authorization server', owner, id]), 'buffer');
    return this.#ledger.first(digest, new Date(expiresAt * 1000));
  }
}
