import type { Queryable } from '../../../infra/database/connection.ts';
import type { UserId } from '../../../shared/ids.ts';

/** What can be done once, and not for long. */
export type StepPurpose = 'passkey_add' | 'passkey_sign_in' | 'mail_link' | 'setup' | 'recovery' | 'federation';

export interface NewStep {
  readonly purpose: StepPurpose;
  /** Of what its finisher brings along. */
  readonly hash: Buffer;
  /** Of what the browser carries that began it; any browser may finish it when it is absent. */
  readonly browser?: Buffer | undefined;
  readonly userId?: UserId | undefined;
  /** The address that a link is sent to. */
  readonly mail?: string | undefined;
  readonly provider?: string | undefined;
  /** Where the browser goes on afterwards: a path of ours. */
  readonly returnTo?: string | undefined;
  readonly createdBy?: UserId | undefined;
  readonly ttlSeconds: number;
}

export interface Step {
  readonly purpose: StepPurpose;
  readonly userId?: UserId;
  readonly mail?: string;
  readonly provider?: string;
  readonly returnTo?: string;
}

/** Begins a step, and forgets some of those that are long over. Gives when it ends. */
export async function insertStep(connection: Queryable, step: NewStep): Promise<Date> {
  const [row] = await connection.query<{ expires_at: Date }>(
    `WITH swept AS (
       DELETE FROM sign_in_steps WHERE id IN (
         SELECT id FROM sign_in_steps WHERE expires_at < now() - interval '1 day' LIMIT 100 FOR UPDATE SKIP LOCKED)
     )
     INSERT INTO sign_in_steps (purpose, hash, browser, user_id, mail, provider, return_to, created_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9)) RETURNING expires_at`,
    [
      step.purpose,
      step.hash,
      step.browser ?? null,
      step.userId ?? null,
      step.mail ?? null,
      step.provider ?? null,
      step.returnTo ?? null,
      step.createdBy ?? null,
      step.ttlSeconds,
    ],
  );
  if (row === undefined) throw new Error('The step is not there after it was added');
  return row.expires_at;
}

/**
 * Takes a step: of many that try at once, one gets it. One that is over, was taken, or was begun by another browser is
 * not given, and that of another browser stays good for its own.
 */
export async function takeStep(
  connection: Queryable,
  wanted: { readonly purposes: readonly StepPurpose[]; readonly hash: Buffer; readonly browser?: Buffer | undefined },
): Promise<Step | undefined> {
  const [row] = await connection.query<{
    purpose: StepPurpose;
    user_id: string | null;
    mail: string | null;
    provider: string | null;
    return_to: string | null;
  }>(
    `UPDATE sign_in_steps SET consumed_at = now()
     WHERE hash = $1 AND purpose = ANY ($2) AND consumed_at IS NULL AND expires_at > now()
       AND (browser IS NULL OR browser = $3)
     RETURNING purpose, user_id, mail, provider, return_to`,
    [wanted.hash, wanted.purposes, wanted.browser ?? null],
  );
  if (row === undefined) return undefined;
  return {
    purpose: row.purpose,
    ...(row.user_id === null ? {} : { userId: row.user_id as UserId }),
    ...(row.mail === null ? {} : { mail: row.mail }),
    ...(row.provider === null ? {} : { provider: row.provider }),
    ...(row.return_to === null ? {} : { returnTo: row.return_to }),
  };
}

/** Makes a user's open steps of these purposes worthless. */
export async function voidSteps(
  connection: Queryable,
  userId: UserId,
  purposes: readonly StepPurpose[],
): Promise<void> {
  await connection.query(
    'UPDATE sign_in_steps SET consumed_at = now() WHERE user_id = $1 AND purpose = ANY ($2) AND consumed_at IS NULL',
    [userId, purposes],
  );
}

/** Whose step it is, while it is open; nothing is taken. */
export async function stepUser(connection: Queryable, hash: Buffer): Promise<UserId | undefined> {
  const [row] = await connection.query<{ user_id: string | null }>(
    'SELECT user_id FROM sign_in_steps WHERE hash = $1 AND consumed_at IS NULL AND expires_at > now()',
    [hash],
  );
  return row?.user_id === null ? undefined : (row?.user_id as UserId | undefined);
}
