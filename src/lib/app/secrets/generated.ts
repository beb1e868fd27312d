import type { Instance } from '../../infra/config/instance.ts';
import type { Profile } from '../../infra/config/profile.ts';
import { generateSecret, isGeneratedSecret } from '../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import { mcpConnectionUrl } from '../../infra/database/connections.ts';
import { PreconditionError, UsageError } from '../../shared/errors.ts';

/** What a generated secret asks for to be replaced. */
export type ReplacedWhen = 'any time' | 'stopped';

/**
 * When a secret that the system made for itself can be replaced: what belongs to one server at any time, what all processes
 * hold open connections by only while none runs.
 * @throws UsageError for a secret of the user's, PreconditionError for one that can't be replaced
 */
export function replacedWhen(name: string): ReplacedWhen {
  if (!isGeneratedSecret(name)) {
    throw new UsageError(`${name} is a secret of yours: nobody but you knows its next value`, {
      hint: 'Set the new value; without a name this command exchanges the master key',
      next: ['cloud secrets set --help', 'cloud secrets rotate --help'],
    });
  }
  if (name === 'database.superuser') {
    throw new PreconditionError('database.superuser is not replaced: the embedded server takes it when it is created', {
      hint: 'It opens a server that listens on this machine alone, for its owner',
    });
  }
  return name.startsWith('database.mcp.') ? 'any time' : 'stopped';
}

/**
 * Gives a generated secret a new value. The value is kept before the database knows it: every start of a server, and of the
 * system, sets the passwords of its roles from there, so that nothing is lost in between.
 * @param running whether the database can be told at once
 * @returns the number of the new version
 * @throws PreconditionError when there is none of that name; DatabaseUnavailableError
 */
export async function replaceGenerated(
  name: string,
  at: {
    readonly instance: Instance;
    readonly profile: Profile;
    readonly secrets: SecretStore;
    readonly running: boolean;
    readonly by: string;
  },
): Promise<number> {
  const { instance, profile, secrets, running, by } = at;
  await secrets.require(name);
  const [change] = await secrets.setMany(new Map([[name, generateSecret()]]), { by });
  const server = name.startsWith('database.mcp.') ? name.slice('database.mcp.'.length) : undefined;
  if (running && server !== undefined) await mcpConnectionUrl(instance, profile, secrets, server);
  return change?.version ?? 0;
}
