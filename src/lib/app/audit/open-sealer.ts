import { type SigningKey, signingKey } from '../../domain/governance/index.ts';
import { generateSecret } from '../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { ConnectionConfig } from '../../infra/database/connection.ts';
import { Sealer, type SealerLog } from './sealer.ts';

/** Name of the secret that holds the private key. */
const secretName = 'audit.signing';

type Secrets = Pick<SecretStore, 'get' | 'set' | 'require' | 'version'>;

/** The key that signs the audit; made when the instance has none yet. */
async function auditKey(secrets: Secrets): Promise<SigningKey> {
  // An instance of an earlier version has none. Of two processes at once, the last one to write counts for both.
  if ((await secrets.get(secretName)) === undefined) await secrets.set(secretName, generateSecret());
  return signingKey(await secrets.require(secretName));
}

/** The keys of the instance that are kept, the one in force first: each may have signed what there is. */
export async function keptAuditKeys(secrets: Pick<SecretStore, 'version'>): Promise<SigningKey[]> {
  const keys: SigningKey[] = [];
  let found = await secrets.version(secretName);
  while (found !== undefined) {
    keys.push(signingKey(found.value));
    found = found.number > 1 ? await secrets.version(secretName, found.number - 1) : undefined;
  }
  return keys;
}

export interface OpenSealerOptions {
  readonly secrets: Secrets;
  readonly connection: ConnectionConfig;
  readonly retentionDays: number | undefined;
  readonly log: SealerLog;
}

/** The sealer of one API process, at work as soon as no other is. */
export function openSealer({ secrets, connection, retentionDays, log }: OpenSealerOptions): Sealer {
  return new Sealer({
    connection,
    retentionDays,
    log,
    keys: async () => ({
      key: await auditKey(secrets),
      former: async (id) => (await keptAuditKeys(secrets)).find((key) => key.id === id),
    }),
  });
}
