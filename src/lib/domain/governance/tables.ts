// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `audit.tool_intents`. */
export interface ToolIntentsRow {
  readonly execution_id: string;
  readonly api_instance: string;
  readonly server: string;
  readonly tool: string;
  readonly user_id: string;
  readonly user_name: string;
  readonly session_id: string;
  readonly client: string | null;
  readonly scopes: string[];
  readonly required: string[];
  readonly input_digest: string;
  readonly input: unknown;
  readonly decision: 'allowed' | 'refused';
  readonly started_at: Date;
}

/** A row of `audit.tool_outcomes`. */
export interface ToolOutcomesRow {
  readonly execution_id: string;
  readonly status: 'success' | 'tool_error' | 'failed' | 'refused' | 'timeout' | 'cancelled' | 'interrupted';
  readonly error: string | null;
  readonly output_digest: string | null;
  readonly output_bytes: number | null;
  readonly latency_us: number | null;
  readonly upstream_us: number | null;
  readonly recorded_at: Date;
}
