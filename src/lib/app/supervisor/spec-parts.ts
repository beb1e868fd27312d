import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { Instance } from '../../infra/config/instance.ts';
import type { Profile } from '../../infra/config/profile.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { commonVariables } from '../bridge/child-environment.ts';
import { serverSchemas } from '../extensions/server-migrations.ts';
import type { SchemaReport } from '../extensions/server-schemas.ts';
import type { ServerVariables } from '../secrets/variables.ts';
import { isFile } from './module-path.ts';

// What the specs of all services are made with.

/** What the processes of an installation are made from. */
export interface SpecSource {
  readonly instance: Instance;
  readonly profile: Profile;
  readonly secrets: SecretStore;
  readonly servers: readonly McpServerConfig[];
  readonly packageRoot: string;
  /** The supervisor's environment, of which its children get what {@link handedOn} names. */
  readonly env: NodeJS.ProcessEnv;
  /** Hears what became of the tables that a server declares, whenever it is started. */
  readonly onSchemas?: ((report: SchemaReport) => void) | undefined;
}

/** Of secrets that the system made: which of them have been replaced since, and how often. */
export type Rotated = (names: readonly string[]) => readonly string[];

/** What every server has beside its configuration: its variables with their values, and what counts in its digest. */
export interface OwnOfServer extends Omit<ServerVariables, 'issues'> {
  readonly rotated: Rotated;
}

/** What every child gets of the environment: how to find programs, folders, time zone, proxies and authorities. */
export const handedOn = [...commonVariables, 'XDG_RUNTIME_DIR', 'NODE_OPTIONS', 'NODE_COMPILE_CACHE'] as const;

export const drainMs = 10_000;
export const startMs = 30_000;
/** Name of the service that runs an MCP server. */
export function mcpServiceName(server: string): string {
  return `mcp:${server}`;
}

/** After its migrations, before its start. @throws ConfigInvalidError when its tables are not what it counts on, and that is strict */
export async function admitSchemas(source: SpecSource, server: McpServerConfig): Promise<void> {
  const report = await serverSchemas(source, server, true);
  source.onSchemas?.(report);
  const { refuseSchemas } = await import('../extensions/server-schemas.ts');
  refuseSchemas(report);
}

/** By the convention that programs for Node know three values of. */
export function nodeEnvironment(environment: Profile['runtime']['environment']): string {
  return environment === 'staging' ? 'production' : environment;
}

/** The main of a child process in the built package; the chunks it loads are named in it by their content. */
export function builtMain(packageRoot: string, name: 'api' | 'mcp' | 'bridge'): string {
  const file = join(packageRoot, 'dist', 'entry', name, 'main.js');
  if (existsSync(file)) return file;
  throw new PreconditionError(`The package is not built: ${file} is missing.`, { hint: 'Build it: npm run build' });
}

/** Looks before each start: what was there when the configuration was read may be gone since. */
export function presenceOf(...files: readonly string[]): () => Promise<void> {
  return async () => {
    const missing = files.find((file) => !isFile(file));
    if (missing === undefined) return;
    throw new PreconditionError(`what it runs, ${missing}, does not exist`, { hint: 'Build it again, then start it.' });
  };
}

export function hashOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256').update(process.version);
  for (const part of parts) hash.update('\0').update(part);
  return hash.digest('hex');
}

export function pick(env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  const found = names.map((name) => [name, env[name]] as const);
  return Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== undefined));
}
