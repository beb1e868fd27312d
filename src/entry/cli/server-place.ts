import type { CommandContext } from '../../lib/app/command-context.ts';
import type { ServerPlace } from '../../lib/app/extensions/server-migrations.ts';

/** The database that a command is about, and where the extensions of MCP servers lie. */
export async function serverPlace(context: CommandContext): Promise<ServerPlace> {
  const { packageRoot } = await import('../../lib/infra/config/package-root.ts');
  return {
    instance: await context.instance(),
    profile: await context.profile(),
    secrets: await context.secrets(),
    packageRoot: packageRoot(),
  };
}
