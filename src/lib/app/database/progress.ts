/** How far a backup or a restore is. */
export interface Progress {
  readonly tables: number;
  readonly ofTables: number;
  /** Of the table that is being worked on. */
  readonly table: string;
  /** Uncompressed, in all. */
  readonly bytes: number;
}

export type OnProgress = (progress: Progress) => void;
