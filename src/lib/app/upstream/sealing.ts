import { lockAllCredentials, resealGrants, type SealedCredential, writeCredential } from '../../domain/mcp/index.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';

export type Sealer = Pick<SecretStore, 'seal' | 'open'>;

/** Whose value it is and for what: it opens there alone. */
export interface CredentialSubject extends Pick<SealedCredential, 'userId' | 'server' | 'name'> {
  /** The origin of the server elsewhere; empty for a process of ours. */
  readonly place: string;
}

/** Encrypts a value under the instance's master key, so that a copy of the database lets nobody in elsewhere. */
export function sealCredential(sealer: Sealer, subject: CredentialSubject, value: string): Promise<string> {
  const { userId, server, name, place } = subject;
  return sealer.seal(Buffer.from(JSON.stringify([userId, server, name, place, value])));
}

/**
 * @returns undefined when it was brought for another place: the server's address is another one now
 * @throws PreconditionError when it was not sealed here, or is damaged; Error when the row was moved
 */
export async function openCredential(
  sealer: Sealer,
  { sealed, userId, server, name }: SealedCredential,
  place: string,
): Promise<string | undefined> {
  const said = JSON.parse(Buffer.from(await sealer.open(sealed)).toString('utf8')) as string[];
  if (said[0] !== userId || said[1] !== server || said[2] !== name) {
    throw new Error(`The credential ${name} for ${server} lies in a row that it was not sealed for`);
  }
  return said[3] === place ? said[4] : undefined;
}

/** Seals everything anew, under the master key of today. @returns how many */
export function resealCredentials(database: Pick<Database, 'transaction'>, sealer: Sealer): Promise<number> {
  return database.transaction(async (tx) => {
    const all = await lockAllCredentials(tx);
    for (const one of all) {
      await writeCredential(tx, { ...one, sealed: await sealer.seal(await sealer.open(one.sealed)) });
    }
    const tokens = await resealGrants(tx, async (sealed) => await sealer.seal(await sealer.open(sealed)));
    return all.length + tokens;
  });
}
