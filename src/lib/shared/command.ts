import type { Permission } from './permission.ts';

/** What running a command does to the system: read nothing changes, write can be undone or repeated, destructive can't. */
export type Effect = 'read' | 'write' | 'destructive';

/** What must be there before a command runs; only that is built for it. */
export type Need = 'none' | 'profile' | 'database' | 'supervisor' | 'api';

/** The one declaration that the CLI, the MCP tool's annotations and the reference documentation read. */
export interface CommandDeclaration {
  readonly effect: Effect;
  readonly permission: Permission;
  readonly needs: Need;
  /** Runs on the caller's machine only (sign-in, start): never offered through the MCP tool. */
  readonly localOnly?: boolean;
}
