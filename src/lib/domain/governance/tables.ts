// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.
import type { ColumnType, Generated } from 'kysely';

/** Read as a value, written as its JSON text. */
type Json = ColumnType<unknown, string, string>;

/** Table `audit.tool_intents`. */
export interface ToolIntentsTable {
  execution_id: string;
  api_instance: string;
  server: string;
  tool: string;
  user_id: string;
  user_name: string;
  session_id: string;
  client: string | null;
  scopes: string[];
  required: string[];
  input_digest: string;
  input: Json;
  decision: string;
  started_at: Date;
}

/** Table `audit.tool_outcomes`. */
export interface ToolOutcomesTable {
  execution_id: string;
  status: string;
  error: string | null;
  output_digest: string | null;
  output_bytes: number | null;
  latency_us: number | null;
  upstream_us: number | null;
  recorded_at: Generated<Date>;
}

/** Table `audit.writers`. */
export interface WritersTable {
  instance: string;
  started_at: Generated<Date>;
  closed_at: Date | null;
}

/** For `database.db.withTables<GovernanceTables>()`. */
export type GovernanceTables = {
  'audit.tool_intents': ToolIntentsTable;
  'audit.tool_outcomes': ToolOutcomesTable;
  'audit.writers': WritersTable;
};
