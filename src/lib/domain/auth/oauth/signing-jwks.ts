import { calculateJwkThumbprint, type JWK } from 'jose';
import type { SecretStore } from '../../../infra/config/secrets.ts';
import type { Queryable } from '../../../infra/database/connection.ts';
import { PreconditionError } from '../../../shared/errors.ts';

/** A key that signs now, with its private half. */
export interface SigningJwk {
  /** The audience whose own it is; absent: of all that have none. */
  readonly resource: string | undefined;
  readonly jwk: JWK & { readonly kid: string };
}

/**
 * The keys that sign now, whoever's, for a library that signs by itself.
 * @throws PreconditionError when one is damaged
 */
export async function signingJwks(
  connection: Queryable,
  sealer: Pick<SecretStore, 'open'>,
): Promise<readonly SigningJwk[]> {
  const rows = await connection.query<{ kid: string; resource: string | null; private_jwe: string }>(
    `SELECT kid, resource, private_jwe FROM signing_keys WHERE status = 'active' AND private_jwe IS NOT NULL
     ORDER BY resource NULLS FIRST`,
  );
  return Promise.all(
    rows.map(async ({ kid, resource, private_jwe: sealed }) => {
      const jwk = JSON.parse(new TextDecoder().decode(await sealer.open(sealed))) as JWK;
      // A sealed key moved to another row would sign under a name that is not its own.
      if ((await calculateJwkThumbprint(jwk)) !== kid) throw new PreconditionError(`The signing key ${kid} is damaged`);
      return { resource: resource ?? undefined, jwk: { ...jwk, kid, use: 'sig', alg: 'ES256' } };
    }),
  );
}
