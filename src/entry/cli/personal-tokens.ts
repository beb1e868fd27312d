import type { PersonalTokens } from '../../lib/app/access/tokens.ts';
import type { CommandContext } from '../../lib/app/command-context.ts';

/** The service behind the commands about personal access tokens, and the caller's database. */
export async function personalTokens(context: CommandContext): Promise<PersonalTokens> {
  const { PersonalTokens } = await import('../../lib/app/access/tokens.ts');
  const { DatabaseEntitlements } = await import('../../lib/app/access/entitlements.ts');
  const { resourceServers } = await import('../../lib/app/resources.ts');
  const [{ security }, externalUrl, servers, database] = await Promise.all([
    context.profile(),
    context.externalUrl(),
    context.mcpServers(),
    context.database(),
  ]);
  return new PersonalTokens({
    database,
    resources: resourceServers(servers, {
      externalUrl,
      maxTtlSeconds: security.access_token_ttl_seconds,
    }),
    entitlements: new DatabaseEntitlements(database),
    maxDays: security.personal_access_tokens.max_days,
  });
}
