import { join } from 'node:path';
import { secretReference } from './secret-reference.ts';
import { KeyRing } from './secrets/key-ring.ts';
import type { SecretStore } from './secrets/port.ts';
import { FileSecretStore } from './secrets/store.ts';

export type { SecretStore } from './secrets/port.ts';

/** The file of an instance's secrets. */
function secretsFile({ dir }: { readonly dir: string }): string {
  return join(dir, 'secrets.json');
}

/**
 * Opens the store of an instance.
 * @param env where sources of the master key look; nothing of it is needed once the store is open
 * @throws PreconditionError when the master key is missing, damaged, open to others or another user's
 */
export async function openSecretStore(
  instance: { readonly dir: string },
  env: NodeJS.ProcessEnv = process.env,
): Promise<SecretStore> {
  return new FileSecretStore(secretsFile(instance), await KeyRing.open(instance.dir, env));
}

/**
 * The value that a configuration field stands for: itself, or the secret that it refers to.
 * @throws PreconditionError when that secret is not set
 */
export async function resolveSecretReference(value: string, secrets: Pick<SecretStore, 'require'>): Promise<string> {
  const name = secretReference(value);
  return name === undefined ? value : secrets.require(name);
}
