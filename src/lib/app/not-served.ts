import { NotFoundError } from '../shared/errors.ts';
import type { CommandContext } from './command-context.ts';
import type { InstanceStatus } from './supervisor/status.ts';

/**
 * The error for an MCP server that the configuration has and the running instance has not: its file came later.
 *
 * @returns undefined when it is served, not configured, or not enabled; and for a virtual one, which the API answers by itself
 * @throws ConfigInvalidError when the files can't be read
 */
export async function notServed(
  context: CommandContext,
  status: InstanceStatus,
  server: string,
): Promise<NotFoundError | undefined> {
  if (status.services.some(({ name }) => name === `mcp:${server}`)) return undefined;
  const configured = (await context.mcpServers()).find(({ name }) => name === server);
  if (configured?.enabled !== true || configured.kind === 'virtual') return undefined;
  return new NotFoundError(`The MCP server ${server} is configured and not running`, {
    hint: 'A reconcile brings a new file into force',
    next: ['infra services reconcile'],
    data: { server },
  });
}
