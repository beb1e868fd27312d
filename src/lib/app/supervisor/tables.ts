// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.
import type { Generated, GeneratedAlways } from 'kysely';

/** Table `service_events`. */
export interface ServiceEventsTable {
  id: GeneratedAlways<number>;
  installation_id: string;
  service: string;
  generation: number;
  instance_id: string | null;
  from_state: string;
  to_state: string;
  event: string;
  reason: string | null;
  pid: number | null;
  port: number | null;
  exit_code: number | null;
  exit_signal: string | null;
  epoch: number;
  at: Date;
}

/** Table `services`. */
export interface ServicesTable {
  installation_id: string;
  name: string;
  kind: string;
  desired: string;
  state: string;
  generation: number;
  instance_id: string | null;
  host: string | null;
  boot_id: string | null;
  pid: number | null;
  start_ticks: string | null;
  port: number | null;
  artefact_hash: string | null;
  config_hash: string | null;
  started_at: Date | null;
  ready_at: Date | null;
  ready_ms: number | null;
  last_exit_code: number | null;
  last_exit_signal: string | null;
  last_exit_at: Date | null;
  restarts: Generated<number>;
  next_retry_at: Date | null;
  last_error: string | null;
  epoch: number;
  updated_at: Generated<Date>;
}

/** Table `supervisor_epoch`. */
export interface SupervisorEpochTable {
  installation_id: string;
  epoch: number;
  holder_pid: number;
  host: string;
  boot_id: string;
  version: string;
  taken_at: Generated<Date>;
}

/** For `database.db.withTables<SupervisorTables>()`. */
export type SupervisorTables = {
  service_events: ServiceEventsTable;
  services: ServicesTable;
  supervisor_epoch: SupervisorEpochTable;
};
