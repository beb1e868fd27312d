import { hash } from 'node:crypto';
import { countAttempt, uncountAttempts } from '../../domain/auth/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import { RateLimitedError } from '../../shared/errors.ts';
import { networkOf } from '../caller-address.ts';

/** Where somebody can guess. */
export type Door =
  | 'passkey'
  | 'mail_request'
  | 'mail_link'
  | 'setup_link'
  | 'federation'
  | 'device_code'
  | 'device_poll';

/** Whom an attempt counts for: an account (its id, or the address that a mail is asked for), and where it came from. */
export interface Subject {
  readonly account?: string | undefined;
  readonly address?: string | undefined;
}

interface Limit {
  readonly attempts: number;
  readonly seconds: number;
}

const quarter = 15 * 60;

/** Ways into the same account: who has guessed too often at one of them gets in by none of them for a while. */
const signIns: ReadonlySet<Door> = new Set<Door>(['passkey', 'mail_link', 'federation']);

/** How many attempts each door takes. What turned out to be no guess is not counted, but for mails that are asked for. */
const limits: Readonly<Record<Door, { readonly account: Limit; readonly address: Limit }>> = {
  passkey: { account: { attempts: 10, seconds: quarter }, address: { attempts: 50, seconds: quarter } },
  mail_request: { account: { attempts: 5, seconds: quarter }, address: { attempts: 20, seconds: quarter } },
  mail_link: { account: { attempts: 10, seconds: quarter }, address: { attempts: 20, seconds: quarter } },
  setup_link: { account: { attempts: 10, seconds: quarter }, address: { attempts: 20, seconds: quarter } },
  federation: { account: { attempts: 10, seconds: quarter }, address: { attempts: 50, seconds: quarter } },
  // A device asks every 5 s (RFC 8628 section 3.5); its code stands for the account.
  device_poll: { account: { attempts: 1, seconds: 4 }, address: { attempts: 1, seconds: 4 } },
  device_code: { account: { attempts: 10, seconds: quarter }, address: { attempts: 20, seconds: quarter } },
};

/**
 * Counts guesses by account and by address, in the database: all processes see one number. An attempt is counted before
 * it is looked at, so that many at once are not one; whoever is over the limit is refused even when right.
 */
export class Throttle {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** @throws RateLimitedError with `data.retry_after_seconds` when it is one too many for one of the subjects */
  async take(door: Door, subject: Subject): Promise<void> {
    for (const [kind, key] of keysOf(door, subject)) {
      const limit = limits[door][kind];
      const { count, endsAt } = await countAttempt(this.#database, key, limit.seconds);
      if (count <= limit.attempts) continue;
      const seconds = Math.max(1, Math.ceil((endsAt.getTime() - Date.now()) / 1000));
      throw new RateLimitedError('There were too many attempts', {
        hint: `Try again in ${Math.ceil(seconds / 60)} minutes.`,
        data: { retry_after_seconds: seconds },
      });
    }
  }

  /** The attempt that was counted last was none: somebody got in. */
  async forgive(door: Door, subject: Subject): Promise<void> {
    await uncountAttempts(
      this.#database,
      keysOf(door, subject).map(([, key]) => key),
    );
  }
}

function keysOf(door: Door, { account, address }: Subject): ['account' | 'address', Buffer][] {
  const keys: ['account' | 'address', Buffer][] = [];
  const key = (name: string, kind: string, value: string): Buffer =>
    hash('sha256', `${name}\0${kind}\0${value}`, 'buffer');
  if (address !== undefined) keys.push(['address', key(door, 'address', networkOf(address))]);
  if (account !== undefined) keys.push(['account', key(signIns.has(door) ? 'sign_in' : door, 'account', account)]);
  return keys;
}
