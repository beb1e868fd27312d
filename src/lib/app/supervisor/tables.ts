// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `service_events`. */
export interface ServiceEventsRow {
  readonly id: number;
  readonly installation_id: string;
  readonly service: string;
  readonly generation: number;
  readonly instance_id: string | null;
  readonly from_state: string;
  readonly to_state: string;
  readonly event: string;
  readonly reason: string | null;
  readonly pid: number | null;
  readonly port: number | null;
  readonly exit_code: number | null;
  readonly exit_signal: string | null;
  readonly epoch: number;
  readonly at: Date;
}

/** A row of `services`. */
export interface ServicesRow {
  readonly installation_id: string;
  readonly name: string;
  readonly kind: 'database' | 'api' | 'scheduler' | 'mcp' | 'agent';
  readonly desired: 'running' | 'stopped';
  readonly state: 'stopped' | 'starting' | 'ready' | 'unhealthy' | 'backoff' | 'stopping' | 'failed';
  readonly generation: number;
  readonly instance_id: string | null;
  readonly host: string | null;
  readonly boot_id: string | null;
  readonly pid: number | null;
  readonly start_ticks: string | null;
  readonly port: number | null;
  readonly artefact_hash: string | null;
  readonly config_hash: string | null;
  readonly started_at: Date | null;
  readonly ready_at: Date | null;
  readonly ready_ms: number | null;
  readonly last_exit_code: number | null;
  readonly last_exit_signal: string | null;
  readonly last_exit_at: Date | null;
  readonly restarts: number;
  readonly next_retry_at: Date | null;
  readonly last_error: string | null;
  readonly epoch: number;
  readonly updated_at: Date;
  readonly serving: boolean;
  readonly health_reason: string | null;
  readonly failures_in_row: number;
  readonly first_failure_at: Date | null;
}

/** A row of `supervisor_epoch`. */
export interface SupervisorEpochRow {
  readonly installation_id: string;
  readonly epoch: number;
  readonly holder_pid: number;
  readonly host: string;
  readonly boot_id: string;
  readonly version: string;
  readonly taken_at: Date;
}
