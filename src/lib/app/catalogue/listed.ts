import { readToolLists, readToolRecords, type ToolRecord } from '../../domain/mcp/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { ListedTools } from '../config/declared-tools.ts';

/** What is on record of tools, for those who check what the configuration says of them. */
export interface ToolsListed {
  /** By server, of those that were ever asked and answered. */
  readonly listed: ReadonlyMap<string, ListedTools>;
  /** What servers list and is no tool that a client could take: it is offered to nobody. */
  readonly invalid: readonly Pick<ToolRecord, 'server' | 'name' | 'findings'>[];
}

/**
 * @param runOf the run of a server that serves now, if one does
 * @throws DatabaseUnavailableError
 */
export async function toolsListed(
  connection: Queryable,
  runOf: (server: string) => string | undefined,
): Promise<ToolsListed> {
  const [records, lists] = await Promise.all([readToolRecords(connection), readToolLists(connection)]);
  const there = records.filter(({ state }) => state !== 'gone');
  const byServer = Map.groupBy(there, ({ server }) => server);
  const asked = new Map(lists.map((list) => [list.server, list]));
  const servers = new Set([
    ...byServer.keys(),
    ...lists.flatMap(({ server, error }) => (error === undefined ? [server] : [])),
  ]);
  const listed = [...servers].map((server): [string, ListedTools] => {
    const list = asked.get(server);
    const run = runOf(server);
    const current = run !== undefined && list?.instanceId === run && list.error === undefined;
    return [server, { tools: new Set((byServer.get(server) ?? []).map(({ name }) => name)), current }];
  });
  return { listed: new Map(listed), invalid: there.filter(({ reason }) => reason === 'invalid') };
}
