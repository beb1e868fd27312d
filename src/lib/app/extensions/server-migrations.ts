import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { ConnectionConfig } from '../../infra/database/connection-config.ts';
import { parseConnectionUrl } from '../../infra/database/connection-url.ts';
import {
  connectionFor,
  mcpConnectionUrl,
  type Place,
  type Secrets,
  type Settings,
} from '../../infra/database/connections.ts';
import { type MigrationReport, type MigrationStatus, migrate, migrationStatus } from '../../infra/database/migrate.ts';
import { readMigrations } from '../../infra/database/migration-files.ts';
import { type MigrationRecord, serverRecord } from '../../infra/database/migration-state.ts';
import { mcpRole, mcpSchema } from '../../infra/database/roles.ts';
import type { MigrationHome } from '../../infra/database/rollback.ts';
import type { Extension } from '../../shared/extension.ts';
import type { SchemaReport } from './server-schemas.ts';

/** An MCP server, as far as its tables are concerned. */
export interface ServerModule {
  readonly name: string;
  readonly module: string;
}

/** The database of an instance, and the folders in which modules are looked for. */
export interface ServerPlace {
  readonly instance: Place & { readonly root: string };
  readonly profile: Settings;
  readonly secrets: Secrets;
  readonly packageRoot: string;
}

/** One server that brings migrations. */
interface Bringing {
  readonly server: ServerModule;
  readonly extension: Extension;
  /** Folder that holds the folder `migrations`. */
  readonly root: string;
  readonly record: MigrationRecord;
}

/** What a server's extension is called beside the core's: no extension of the core has a colon in its id. */
function serverExtension(server: string): string {
  return `mcp:${server}`;
}

/** The folder of a server's extension, which has its manifest.yaml, in the project or in the package. */
function extensionFolder(
  { instance, packageRoot }: Pick<ServerPlace, 'instance' | 'packageRoot'>,
  server: ServerModule,
): string | undefined {
  // A server that is no module of ours brings nothing: its path would be the project itself.
  if (server.module === '') return undefined;
  const bases = isAbsolute(server.module)
    ? [server.module]
    : [...new Set([instance.root, packageRoot])].map((root) => join(root, server.module));
  // The module may be named as its folder, as its file, or as what was built of it.
  const folders = bases.flatMap((base) => [base, dirname(base), dirname(dirname(base))]);
  return folders.find((folder) => existsSync(join(folder, 'manifest.yaml')));
}

/** The folder `migrations` beside the manifest.yaml of a server's module. */
function bringing(place: Pick<ServerPlace, 'instance' | 'packageRoot'>, server: ServerModule): Bringing | undefined {
  const root = extensionFolder(place, server);
  if (root === undefined || !existsSync(join(root, 'migrations'))) return undefined;
  return {
    server,
    extension: { id: serverExtension(server.name), version: '0', migrations: 'migrations' },
    root,
    record: serverRecord(mcpSchema(server.name)),
  };
}

/**
 * The DATABASE_URL of a server, with the migrations of its extension applied: by its own role, in its own schema.
 * @throws as `migrate` does
 */
export async function serverDatabaseUrl(place: ServerPlace, server: ServerModule): Promise<string> {
  const url = await mcpConnectionUrl(place.instance, place.profile, place.secrets, server.name);
  const found = bringing(place, server);
  if (found !== undefined)
    await migrate(parseConnectionUrl(url), [found.extension], found.root, { record: found.record });
  return url;
}

/**
 * Whether the tables that a server declares are as it declares them.
 * @param create whether a table that is missing is made from its file
 * @throws DatabaseUnavailableError
 */
export async function serverSchemas(
  place: ServerPlace,
  server: Pick<McpServerConfig, 'name' | 'module' | 'schemas'>,
  create: boolean,
): Promise<SchemaReport> {
  const { checkSchemas } = await import('./server-schemas.ts');
  const connection = await existingConnection(place, server.name);
  return await checkSchemas(server, connection, extensionFolder(place, server), create);
}

/** Applies the migrations of all servers that bring some, one server after the other. @throws as `migrate` does */
export async function migrateServers(
  place: ServerPlace,
  servers: readonly ServerModule[],
): Promise<MigrationReport['applied']> {
  const applied: MigrationReport['applied'][number][] = [];
  for (const server of servers) {
    const found = bringing(place, server);
    if (found === undefined) continue;
    const { extension, root, record } = found;
    const connection = parseConnectionUrl(
      await mcpConnectionUrl(place.instance, place.profile, place.secrets, server.name),
    );
    applied.push(...(await migrate(connection, [extension], root, { record })).applied);
  }
  return applied;
}

/** What the servers that bring migrations have and lack; changes nothing. */
export async function serverMigrations(
  place: ServerPlace,
  servers: readonly ServerModule[],
): Promise<readonly (MigrationStatus & { readonly id: string })[]> {
  const all: (MigrationStatus & { readonly id: string })[] = [];
  for (const server of servers) {
    const found = bringing(place, server);
    if (found === undefined) continue;
    const { extension, root, record } = found;
    const connection = await existingConnection(place, server.name);
    const { id } = extension;
    if (connection === undefined) {
      const pending = (await readMigrations(extension, root)).map(({ name }) => ({ extension: id, name }));
      all.push({ id, applied: [], pending });
    } else {
      all.push({ id, ...(await migrationStatus(connection, [extension], root, { record })) });
    }
  }
  return all;
}

/** Where the migrations of the servers are applied, of those that have been set up. */
export async function serverHomes(place: ServerPlace, servers: readonly ServerModule[]): Promise<MigrationHome[]> {
  const homes: MigrationHome[] = [];
  for (const server of servers) {
    const found = bringing(place, server);
    const connection = found === undefined ? undefined : await existingConnection(place, server.name);
    if (found === undefined || connection === undefined) continue;
    const { extension, root, record } = found;
    homes.push({ connection, extensions: [extension], root, record });
  }
  return homes;
}

/** As the server's own role; `undefined` when it has never been set up. */
async function existingConnection(place: ServerPlace, server: string): Promise<ConnectionConfig | undefined> {
  const password = await place.secrets.get(`database.mcp.${server}`);
  if (password === undefined) return undefined;
  const owner = await connectionFor(place.instance, place.profile, place.secrets, 'owner');
  return { ...owner, user: mcpRole(owner.database, server), password };
}
