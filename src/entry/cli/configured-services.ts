import type { CommandContext } from '../../lib/app/command-context.ts';
import { apiServiceNames } from '../../lib/app/supervisor/api-names.ts';
import type { Selectable } from '../../lib/app/supervisor/selection.ts';

/**
 * What would run, by name and kind, for commands that nobody answers.
 * @throws ConfigInvalidError with every finding
 */
export async function configuredServices(context: CommandContext): Promise<Selectable[]> {
  const servers = await context.mcpServers();
  const { database, server } = await context.profile();
  return [
    ...(database.url === undefined ? ['database'] : []),
    ...apiServiceNames(server.workers),
    ...servers.filter(({ enabled, kind }) => enabled && kind !== 'virtual').map(({ name }) => `mcp:${name}`),
  ].map(selectable);
}

/** A service by its name, which says its kind. */
export function selectable(name: string): Selectable {
  return { name, kind: name.split(':')[0] ?? name };
}
