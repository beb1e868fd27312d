import { coreExtensions } from '../../src/lib/app/extensions/core.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { migrate } from '../../src/lib/infra/database/migrate.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';

interface Column {
  schema: string;
  table: string;
  name: string;
  type: string;
  nullable: boolean;
  hasDefault: boolean;
  /** '' no, 'a' GENERATED ALWAYS AS IDENTITY, 'd' BY DEFAULT. */
  identity: string;
  /** '' no, 's' stored, 'v' virtual. */
  generated: string;
}

/** Where an extension of the core keeps its table types; the supervisor is the one that is no domain. */
function fileOf(extension: string): string {
  return extension === 'supervisor' ? 'src/lib/app/supervisor/tables.ts' : `src/lib/domain/${extension}/tables.ts`;
}

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
  // Sent as text: the driver would make an array of PostgreSQL's out of a JavaScript array.
  json: 'Json',
  jsonb: 'Json',
};

/**
 * The table types of every extension of the core, by file, from a database that is migrated one extension at a time.
 * @param owner of an empty, provisioned database
 */
export async function tableTypes(owner: ConnectionConfig, migrationsRoot: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const known = new Set<string>();
  for (const [index, extension] of coreExtensions.entries()) {
    await migrate(owner, coreExtensions.slice(0, index + 1), migrationsRoot);
    const columns = (await readColumns(owner)).filter(({ schema, table }) => !known.has(`${schema}.${table}`));
    if (columns.length === 0) continue;
    for (const { schema, table } of columns) known.add(`${schema}.${table}`);
    files.set(fileOf(extension.id), render(extension.id, columns));
  }
  return files;
}

function readColumns(owner: ConnectionConfig): Promise<Column[]> {
  return withSession(owner, {}, (session) =>
    session.query<Column>(
      `SELECT n.nspname AS schema, c.relname AS "table", a.attname AS name, t.typname AS type,
              NOT a.attnotnull AS nullable, a.atthasdef AS "hasDefault", a.attidentity::text AS identity, a.attgenerated::text AS generated
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'audit')
        ORDER BY n.nspname, c.relname, a.attnum`,
    ),
  );
}

function render(extension: string, columns: readonly Column[]): string {
  const tables = new Map<string, Column[]>();
  for (const column of columns) {
    const key = column.schema === 'public' ? column.table : `${column.schema}.${column.table}`;
    tables.set(key, [...(tables.get(key) ?? []), column]);
  }
  const interfaces = [...tables].map(([key, own]) => {
    const fields = own.map((column) => `  ${column.name}: ${typeOf(column)};\n`).join('');
    return `/** Table \`${key}\`. */\nexport interface ${pascal(own[0]?.table ?? key)}Table {\n${fields}}\n`;
  });
  const entries = [...tables].map(([key, own]) => {
    const name = /^\w+$/.test(key) ? key : `'${key}'`;
    return `  ${name}: ${pascal(own[0]?.table ?? key)}Table;\n`;
  });
  const body = interfaces.join('\n');
  const imports = ['ColumnType', 'Generated', 'GeneratedAlways'].filter((name) => body.includes(`${name}<`));
  const json = body.includes('Json;') || body.includes('Json ') || body.includes('<Json>');
  if (json && !imports.includes('ColumnType')) imports.unshift('ColumnType');
  return [
    '// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.\n',
    imports.length === 0 ? '' : `import type { ${imports.join(', ')} } from 'kysely';\n`,
    json
      ? '\n/** Read as a value, written as its JSON text. */\ntype Json = ColumnType<unknown, string, string>;\n'
      : '',
    `\n${body}\n/** For \`database.db.withTables<${pascal(extension)}Tables>()\`. */\n`,
    `export type ${pascal(extension)}Tables = {\n${entries.join('')}};\n`,
  ].join('');
}

function typeOf(column: Column): string {
  const isArray = column.type.startsWith('_');
  const element = types[isArray ? column.type.slice(1) : column.type];
  if (element === undefined) {
    throw new Error(
      `${column.table}.${column.name}: no TypeScript type is known for ${column.type}; add it to scripts/lib/table-types.ts`,
    );
  }
  const plain = `${element}${isArray ? '[]' : ''}${column.nullable ? ' | null' : ''}`;
  if (column.identity === 'a' || column.generated !== '') return `GeneratedAlways<${plain}>`;
  return column.hasDefault || column.identity === 'd' ? `Generated<${plain}>` : plain;
}

function pascal(name: string): string {
  return name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
