import type { Database } from '../../infra/database/connection.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';

/** What is to run, read and checked as a whole. */
export interface Configured {
  /** Absent when the profile names a server of the user's own. */
  readonly database: ServiceSpec | undefined;
  readonly services: readonly ServiceSpec[];
  /** A change of the files waits until somebody asks for it. */
  readonly manual?: boolean;
  /** Puts it in force, and on record as the last configuration that was valid. Until then reading it has changed nothing. */
  accept?(): Promise<void>;
}

/** What is still known of the last valid configuration when that of today is invalid: how to reach what runs. */
export interface KeptConfiguration {
  readonly database: ServiceSpec | undefined;
  /** How the API is asked for its health. */
  readonly api: Pick<ServiceSpec, 'probe' | 'cleanUp' | 'sweep'>;
}

/** What the composition root knows how to do. */
export interface BootSteps {
  /** Reads and checks all configuration; again for each reconcile. @throws every finding at once */
  validate(): Promise<Configured>;
  /** Falls back to the last valid configuration; `undefined` when none is on record. */
  kept?(): Promise<KeptConfiguration | undefined>;
  /** Provisions and migrates once the database answers, and opens it as the owner. */
  openStore(signal: AbortSignal): Promise<Database>;
}

export function specsOf({ database, services }: Configured): ServiceSpec[] {
  return [...(database === undefined ? [] : [database]), ...services];
}
