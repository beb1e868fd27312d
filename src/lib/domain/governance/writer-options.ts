import type { DedicatedConnection } from '../../infra/database/dedicated.ts';

/** Hears what goes wrong with the store; never rows. */
export interface AuditLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface AuditWriterOptions {
  /** A new connection as the audit role. */
  readonly connect: () => Promise<DedicatedConnection>;
  /** Id of this API process (uuid). */
  readonly instance: string;
  readonly log: AuditLog;
  /** Hears how long each commit took, in ms, and whether it came about. */
  readonly onCommit?: ((ms: number, committed: boolean) => void) | undefined;
  /** Connections, of which one works and the others stand by; 2 unless told. */
  readonly lanes?: number;
  /** Rows that may wait before calls are refused; 4096 unless told. */
  readonly maxWaiting?: number;
  /** How long an intent may wait before its call is refused, in ms; 2000 unless told. */
  readonly intentTimeoutMs?: number;
  /** How long an answer waits for its outcome, in ms; 5000 unless told. */
  readonly outcomeTimeoutMs?: number;
}
