import { coreExtensions } from '../../src/lib/app/extensions/core.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { migrate } from '../../src/lib/infra/database/migrate.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';

/** Which tables are read by which part of the code; a table that nobody reads has no row type. */
const tablesOf: Readonly<Record<string, readonly string[]>> = {
  'src/lib/app/supervisor/tables.ts': ['service_events', 'services', 'supervisor_epoch'],
  'src/lib/app/sync/tables.ts': ['configuration_store', 'configuration_versions'],
  'src/lib/domain/auth/tables.ts': [
    'access_grants',
    'identity_events',
    'oauth_client_secrets',
    'oauth_clients',
    'oauth_payloads',
    'personal_access_tokens',
    'refresh_windows',
    'signing_keys',
    'user_sessions',
  ],
  'src/lib/domain/governance/tables.ts': [
    'audit.tool_intents',
    'audit.tool_outcomes',
    'tool_approvals',
    'tool_artifacts',
  ],
  'src/lib/domain/mcp/tables.ts': [
    'mcp.tool_definitions',
    'mcp.tools',
    'mcp.tool_events',
    'mcp.tool_lists',
    'mcp.sessions',
    'mcp.server_logs',
  ],
  'src/lib/domain/users/tables.ts': ['users'],
};

/** What the driver gives for a column of that type, with the settings of src/lib/infra/database/client-config.ts. */
const types: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int2: 'number',
  int4: 'number',
  int8: 'number',
  float4: 'number',
  float8: 'number',
  numeric: 'string',
  text: 'string',
  varchar: 'string',
  uuid: 'string',
  bytea: 'Buffer',
  date: 'Date',
  timestamp: 'Date',
  timestamptz: 'Date',
  json: 'unknown',
  jsonb: 'unknown',
};

interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  /** The definitions of the CHECK constraints on this column alone. */
  readonly checks: readonly string[];
}

/**
 * The row types of every file that has some, by file, from the core's migrations.
 * @param owner of an empty, provisioned database
 */
export async function tableTypes(owner: ConnectionConfig, migrationsRoot: string): Promise<Map<string, string>> {
  await migrate(owner, coreExtensions, migrationsRoot);
  const files = new Map<string, string>();
  for (const [file, tables] of Object.entries(tablesOf)) {
    const rows = await Promise.all(tables.map(async (table) => render(table, await readColumns(owner, table))));
    const note =
      '// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.\n';
    files.set(file, `${note}\n${rows.join('\n')}`);
  }
  return files;
}

function readColumns(owner: ConnectionConfig, table: string): Promise<Column[]> {
  return withSession(owner, {}, (session) =>
    session.query<Column>(
      `SELECT a.attname AS name, t.typname AS type, NOT a.attnotnull AS nullable,
              ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
                     WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]) AS checks
         FROM pg_attribute a
         JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum`,
      [table],
    ),
  );
}

function render(table: string, columns: readonly Column[]): string {
  const fields = columns.map((column) => `  readonly ${column.name}: ${typeOf(table, column)};\n`).join('');
  const name = pascal(table.slice(table.indexOf('.') + 1));
  return `/** A row of \`${table}\`. */\nexport interface ${name}Row {\n${fields}}\n`;
}

function typeOf(table: string, { name, type, nullable, checks }: Column): string {
  const isArray = type.startsWith('_');
  const element = types[isArray ? type.slice(1) : type];
  if (element === undefined) {
    throw new Error(`${table}.${name}: no TypeScript type is known for ${type}; add it to scripts/lib/table-types.ts`);
  }
  const values = isArray ? `${element}[]` : (checks.map(listed).find((list) => list !== undefined) ?? element);
  return nullable && values !== 'unknown' ? `${values} | null` : values;
}

/** `'a' | 'b'` for `CHECK (column IN ('a', 'b'))`, as PostgreSQL writes it down. */
function listed(check: string): string | undefined {
  const list = /^CHECK \(\(\w+ = ANY \(ARRAY\[((?:'\w+'::text(?:, )?)+)\]\)\)\)$/.exec(check)?.[1];
  return list?.replaceAll('::text', '').replaceAll(', ', ' | ');
}

function pascal(name: string): string {
  return name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
