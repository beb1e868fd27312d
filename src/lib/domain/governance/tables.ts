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
  readonly position: number;
  readonly via: string | null;
  readonly policy: unknown;
  readonly trace_id: string | null;
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
  readonly position: number;
  readonly policy: unknown;
}

/** A row of `tool_approvals`. */
export interface ToolApprovalsRow {
  readonly id: string;
  readonly user_id: string;
  readonly user_name: string;
  readonly client: string;
  readonly session_id: string;
  readonly server: string;
  readonly tool: string;
  readonly input_digest: string;
  readonly input: unknown;
  readonly policy_version: string;
  readonly reason: string;
  readonly approver: 'caller' | 'other';
  readonly state: 'waiting' | 'approved' | 'denied' | 'used' | 'expired';
  readonly asked_at: Date;
  readonly expires_at: Date;
  readonly decided_at: Date | null;
  readonly decided_by: string | null;
  readonly decided_by_name: string | null;
  readonly decided_through: 'cli' | 'client' | null;
  readonly used_at: Date | null;
  readonly execution_id: string | null;
}

/** A row of `tool_artifacts`. */
export interface ToolArtifactsRow {
  readonly execution_id: string;
  readonly user_id: string;
  readonly server: string;
  readonly tool: string;
  readonly type: string;
  readonly title: string | null;
  readonly artifact: unknown;
  readonly bytes: number;
  readonly created_at: Date;
  readonly expires_at: Date;
}
