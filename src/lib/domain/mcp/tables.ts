// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `mcp.tool_definitions`. */
export interface ToolDefinitionsRow {
  readonly server: string;
  readonly name: string;
  readonly digest: string;
  readonly definition: unknown;
  readonly findings: unknown;
  readonly scanned_by: number;
  readonly seen_at: Date;
}

/** A row of `mcp.tools`. */
export interface ToolsRow {
  readonly server: string;
  readonly name: string;
  readonly digest: string;
  readonly definition: unknown;
  readonly state: 'approved' | 'held' | 'gone';
  readonly reason: 'new' | 'changed' | 'finding' | 'invalid' | null;
  readonly approved_digest: string | null;
  readonly approved_at: Date | null;
  readonly approved_by: string | null;
  readonly first_seen: Date;
  readonly last_seen: Date;
  readonly changed_at: Date;
  readonly form: string;
}

/** A row of `mcp.tool_events`. */
export interface ToolEventsRow {
  readonly id: number;
  readonly at: Date;
  readonly server: string;
  readonly name: string;
  readonly type: 'added' | 'changed' | 'returned' | 'gone' | 'approved' | 'scanned';
  readonly before: string | null;
  readonly after: string | null;
  readonly state: 'approved' | 'held' | 'gone';
  readonly findings: number;
  readonly actor_id: string | null;
}

/** A row of `mcp.tool_lists`. */
export interface ToolListsRow {
  readonly server: string;
  readonly instance_id: string | null;
  readonly tools: number;
  readonly error: string | null;
  readonly listed_at: Date;
}

/** A row of `mcp.sessions`. */
export interface SessionsRow {
  readonly id: string;
  readonly server: string;
  readonly instance_id: string;
  readonly upstream_id: string;
  readonly user_id: string;
  readonly sign_in_id: string;
  readonly client: string;
  readonly transport: string;
  readonly protocol_version: string | null;
  readonly client_name: string | null;
  readonly client_version: string | null;
  readonly created_at: Date;
  readonly active_at: Date;
  readonly ended_at: Date | null;
  readonly end_reason: 'closed' | 'idle' | 'ended' | 'lost' | 'restarted' | null;
  readonly settled: boolean;
}

/** A row of `mcp.server_logs`. */
export interface ServerLogsRow {
  readonly id: number;
  readonly server: string;
  readonly instance_id: string;
  readonly at: Date;
  readonly level: string | null;
  readonly execution_id: string | null;
  readonly trace_id: string | null;
  readonly user_id: string | null;
  readonly line: string;
  readonly digest: Buffer;
}
