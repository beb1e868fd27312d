import { string } from '@oclif/core/flags';
import type { CommandContext } from '../../lib/app/command-context.ts';
import type { Instance } from '../../lib/infra/config/instance.ts';
import { type KeySourceName, keySourceNames, readKeyRecord } from '../../lib/infra/config/master-key/record.ts';
import type { KeySourceWish } from '../../lib/infra/config/master-key/source.ts';
import { ConflictError, UsageError } from '../../lib/shared/errors.ts';

/** The flags that say where a master key is kept. */
export const keySourceFlags = {
  to: string({
    options: keySourceNames,
    helpValue: '<source>',
    summary: 'Keep the new key there: file, environment, keychain or vault',
  }),
  'vault-address': string({ dependsOn: ['to'], helpValue: '<url>', summary: 'Address of the key management service' }),
  'vault-key': string({ dependsOn: ['to'], helpValue: '<name>', summary: 'Name of the key there that encrypts ours' }),
  'vault-mount': string({
    dependsOn: ['to'],
    helpValue: '<path>',
    summary: 'Where its transit engine is mounted; transit unless told',
  }),
  'vault-token-file': string({
    dependsOn: ['to'],
    helpValue: '<path>',
    summary: 'File that holds its token; VAULT_TOKEN unless told',
  }),
};

interface KeySourceFlags {
  readonly to?: string | undefined;
  readonly 'vault-address'?: string | undefined;
  readonly 'vault-key'?: string | undefined;
  readonly 'vault-mount'?: string | undefined;
  readonly 'vault-token-file'?: string | undefined;
}

/** What the flags say; undefined when the key stays where it is. @throws UsageError naming the flag that is missing or wrong */
export function keySourceWish(flags: KeySourceFlags): KeySourceWish | undefined {
  const { to, 'vault-address': address, 'vault-key': key, 'vault-mount': mount, 'vault-token-file': tokenFile } = flags;
  if (to === undefined) return undefined;
  const source = to as KeySourceName;
  const given = [address, key, mount, tokenFile].some((value) => value !== undefined);
  if (source !== 'vault') {
    if (given)
      throw new UsageError(`--vault-… is about --to vault, not --to ${source}`, {
        next: ['cloud secrets rotate --help'],
      });
    return { source };
  }
  if (address === undefined || key === undefined) {
    throw new UsageError('--to vault needs --vault-address and --vault-key', { next: ['cloud secrets rotate --help'] });
  }
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw new UsageError('--vault-address is no http or https address', {
      hint: 'Write it as https://vault.example.com:8200',
    });
  }
  const vault = { address, key, mount: mount ?? 'transit', ...(tokenFile === undefined ? {} : { tokenFile }) };
  return { source, vault };
}

/**
 * A running process has the environment that it was started with: a key that comes from there can only be exchanged while
 * none runs.
 * @throws ConflictError
 */
export async function refuseWhileRunning(
  context: CommandContext,
  instance: Pick<Instance, 'dir'>,
  wish: KeySourceWish | undefined,
): Promise<void> {
  const source = wish?.source ?? (await readKeyRecord(instance.dir)).at(-1)?.source;
  const inherited = source === 'environment' || (wish?.source === 'vault' && wish.vault?.tokenFile === undefined);
  if (!inherited || (await context.runningStatus()) === undefined) return;
  throw new ConflictError(
    'What runs has the environment it was started with, and could not read its secrets any more',
    {
      hint: 'Stop the system first, and start it with the new environment',
      next: ['infra services stop'],
    },
  );
}
