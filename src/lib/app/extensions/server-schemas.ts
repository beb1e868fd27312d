import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { McpSchemas, McpServerConfig } from '../../domain/mcp/index.ts';
import type { ConnectionConfig } from '../../infra/database/connection-config.ts';
import { mcpSchema } from '../../infra/database/roles.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import { ConfigInvalidError, type ConfigIssue, toAppError } from '../../shared/errors.ts';

/** What came of looking at the tables that a server counts on. */
export interface SchemaReport {
  readonly server: string;
  readonly mode: McpSchemas['mode'];
  /** How many of them are as they are declared. */
  readonly validated: number;
  /** Those that were made now. */
  readonly created: readonly string[];
  readonly errors: readonly ConfigIssue[];
}

type Declared = McpSchemas['tables'][number];

/** Ask for names alone: a table of the server's is in its own schema. */
const columnsOf = `SELECT c.relname AS table, array_agg(a.attname::text) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') GROUP BY 1`;

/**
 * Looks whether the tables that a server declares are there, with the columns that it needs, in its own schema.
 * @param connection as the server's own role; undefined for a server that has never been set up
 * @param folder where the SQL files of the extension lie; undefined when it has no folder
 * @param create whether a table that is missing is made from its file
 * @throws DatabaseUnavailableError
 */
export async function checkSchemas(
  server: Pick<McpServerConfig, 'name' | 'schemas'>,
  connection: ConnectionConfig | undefined,
  folder: string | undefined,
  create: boolean,
): Promise<SchemaReport> {
  const { mode, tables } = server.schemas ?? { mode: 'skip' as const, tables: [] };
  const report = { server: server.name, mode, validated: 0, created: [], errors: [] };
  if (mode === 'skip' || tables.length === 0) return report;
  if (connection === undefined) {
    const message = 'has no database yet';
    const [first] = tables;
    return first === undefined
      ? report
      : { ...report, errors: [issue(server, first, message, 'its first start makes it')] };
  }
  return await withSession(connection, { applicationName: 'systemprompt schemas', waitMs: 5000 }, async (session) => {
    const created: string[] = [];
    const errors: ConfigIssue[] = [];
    let known = await tablesIn(session, server.name);
    for (const table of tables) {
      if (known.has(table.table) || table.file === undefined || !create) continue;
      const fault = await makeTable(session, server, table, folder);
      if (fault === undefined) created.push(table.table);
      else errors.push(fault);
    }
    if (created.length > 0) known = await tablesIn(session, server.name);
    const failed = new Set(errors.map(({ line, column }) => `${line}:${column}`));
    for (const table of tables) {
      if (failed.has(`${table.at.line}:${table.at.column}`)) continue;
      const fault = tableFault(server, table, known.get(table.table));
      if (fault !== undefined) errors.push(fault);
    }
    return { ...report, validated: tables.length - errors.length, created, errors };
  });
}

/** Refuses a server whose tables are not as it declares them, in mode `strict`. @throws ConfigInvalidError */
export function refuseSchemas({ mode, errors }: SchemaReport): void {
  if (mode === 'strict' && errors.length > 0) throw new ConfigInvalidError(errors);
}

async function tablesIn(session: Session, server: string): Promise<Map<string, ReadonlySet<string>>> {
  const rows = await session.query<{ table: string; columns: string[] }>(columnsOf, [mcpSchema(server)]);
  return new Map(rows.map(({ table, columns }) => [table, new Set(columns)]));
}

async function makeTable(
  session: Session,
  server: Pick<McpServerConfig, 'name'>,
  table: Declared,
  folder: string | undefined,
): Promise<ConfigIssue | undefined> {
  const { file = '' } = table;
  const path = folder === undefined ? undefined : resolve(folder, file);
  if (path === undefined || folder === undefined || relative(folder, path).startsWith('..')) {
    return issue(server, table, `the file ${file} is not in the folder of ${server.name}`, 'write its path from there');
  }
  const sql = await readFile(path, 'utf8').catch(() => undefined);
  if (sql === undefined) {
    return issue(server, table, `the file ${file} can't be read`, `write its path from ${join(folder, '.')}`);
  }
  try {
    await session.query(`BEGIN; ${sql}\n; COMMIT`);
    return undefined;
  } catch (error) {
    await session.query('ROLLBACK');
    return issue(server, table, `the file ${file} fails: ${toAppError(error).message}`, 'mend it');
  }
}

function tableFault(
  server: Pick<McpServerConfig, 'name'>,
  table: Declared,
  columns: ReadonlySet<string> | undefined,
): ConfigIssue | undefined {
  const name = `${mcpSchema(server.name)}.${table.table}`;
  if (columns === undefined) {
    return issue(server, table, `the table ${name} does not exist`, 'add a migration that makes it, or name its file');
  }
  const missing = table.requiredColumns.filter((column) => !columns.has(column));
  if (missing.length === 0) return undefined;
  const hint = 'add a migration that brings what is missing';
  return issue(server, table, `the table ${name} lacks ${missing.join(', ')}`, hint);
}

function issue(server: Pick<McpServerConfig, 'name'>, { at }: Declared, message: string, hint: string): ConfigIssue {
  return { ...at, message: message.startsWith('has ') ? `${server.name} ${message}` : message, hint };
}
