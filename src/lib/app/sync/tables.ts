// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `configuration_store`. */
export interface ConfigurationStoreRow {
  readonly id: string;
  readonly singleton: boolean;
}

/** A row of `configuration_versions`. */
export interface ConfigurationVersionsRow {
  readonly path: string;
  readonly version: number;
  readonly digest: string | null;
  readonly body: Buffer | null;
  readonly origin: 'files' | 'database' | 'merge';
  readonly prevailed: boolean;
  readonly written_at: Date;
  readonly written_by: string;
}
