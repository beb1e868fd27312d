import { shortName } from './identifiers.ts';

/**
 * As whom a process of ours uses the database: the owner migrates, the app reads and writes but for the audit, the
 * audit writer only adds audit rows, the sealer reads them and adds to their chain, the reader answers what people ask and
 * sees no secret.
 */
export type DatabaseRole = 'owner' | 'app' | 'audit' | 'sealer' | 'reader';
export const databaseRoles: readonly DatabaseRole[] = ['owner', 'app', 'audit', 'sealer', 'reader'];

/** Group roles of the whole server, without a sign-in: migrations grant to these, whatever the database is called. */
export const appGroup = 'systemprompt_app';
export const auditGroup = 'systemprompt_audit';
export const sealerGroup = 'systemprompt_sealer';
export const readerGroup = 'systemprompt_reader';

/** Superuser of an embedded server. */
export const superuser = 'postgres';

/** The database of an instance with an embedded server. */
export const embeddedDatabase = 'systemprompt';

/** Schema of the tables that record which migrations were applied. */
export const migrationsSchema = 'systemprompt_migrations';

/** The role that signs in to one database; roles belong to the whole server, so the database is part of the name. */
export function loginRole(database: string, role: DatabaseRole): string {
  return shortName(`sp_${database}_${role}`);
}

/** The role of one MCP server; it owns the schema of the same server and nothing else. */
export function mcpRole(database: string, server: string): string {
  return shortName(`sp_${database}_mcp_${server}`);
}

export function mcpSchema(server: string): string {
  return shortName(`mcp_${server}`);
}

/** What the names of all roles of a database begin with, however long they are. */
export function shortPrefix(database: string): string {
  return loginRole(database, 'owner').slice(0, `sp_${database}_`.length);
}
