import { string } from '@oclif/core/flags';
import { assertSecretName, isGeneratedSecret, serverSecretName } from '../../lib/infra/config/secrets/names.ts';
import { UsageError } from '../../lib/shared/errors.ts';
import { serverNameForm } from '../../lib/shared/server-name.ts';

/** The flag of all commands that can mean the secrets of one server. */
export const serverFlag = {
  server: string({
    helpValue: '<name>',
    summary: 'The secret of this MCP server alone; there it goes before the shared one',
  }),
};

/**
 * The name under which a secret is kept.
 * @throws UsageError for what can't be one; a value that was written behind it is not quoted
 */
export function keptName(name: string, server: string | undefined): string {
  if (name.includes('=')) throw valueInArguments();
  if (server !== undefined && !serverNameForm.test(server)) {
    throw new UsageError('That is no name for a server.', {
      hint: 'Use the name that services/mcp has: lower-case letters, digits and dashes',
      next: ['plugins mcp list'],
    });
  }
  const kept = server === undefined ? name : serverSecretName(server, name);
  assertSecretName(name);
  assertSecretName(kept);
  return kept;
}

/** @throws UsageError for a secret that the system made for itself: something else has to change along with it */
export function refuseGenerated(names: Iterable<string>): void {
  for (const name of names) {
    if (!isGeneratedSecret(name)) continue;
    throw new UsageError(`${name} is a secret of the system itself, which is not set by hand`, {
      hint: 'Have it replaced, together with what depends on it',
      next: [`cloud secrets rotate ${name}`],
    });
  }
}

/** A value on the command line can be read by everybody on the machine (ps), and shells keep it. */
export function valueInArguments(): UsageError {
  return new UsageError(
    'A value does not belong on the command line: other users can see it there, and the shell keeps it',
    {
      hint: 'Give it on standard input, with --from-file or --from-env; and remove it from the history of your shell',
      next: ['cloud secrets set --help'],
    },
  );
}
