import type { z } from 'zod';

/**
 * What the core and a user's extension are made of alike: an id, what it stands on, and what it brings. The host
 * collects migrations and configuration from a list of these; nothing is registered by side effect.
 */
export interface Extension {
  /** Lower-case, unique: also the name of its migrations folder. */
  readonly id: string;
  readonly version: string;
  /** Ids that must be set up before this one. */
  readonly dependencies?: readonly string[];
  /** Folder of numbered SQL files, relative to the package's `migrations/`; absent when it keeps no tables. */
  readonly migrations?: string;
  /** Schema of its own YAML, by the folder's name under `services/`. */
  readonly config?: { readonly folder: string; readonly schema: z.ZodType };
}
