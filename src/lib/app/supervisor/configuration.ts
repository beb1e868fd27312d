import { join } from 'node:path';
import { z } from 'zod';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { readJson, writeFileAtomic } from '../../infra/config/atomic-file.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { loadProfile, type Profile, profileFile } from '../../infra/config/profile.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import type { ConfigNode } from '../config/types.ts';
import type { SpecSource } from './spec-parts.ts';

// What an instance is to run, from its files. Larger modules are loaded when they are needed: the supervisor stays lean.

/** The configuration of an instance as its files have it. */
export interface Configuration {
  readonly profile: Profile;
  readonly servers: readonly McpServerConfig[];
  /** All of it as it can be shown. */
  readonly shown: ShownConfiguration;
}

/** A configuration without secrets: the profile, and `services/` put together, with all defaults. */
export interface ShownConfiguration {
  readonly profile: ConfigNode;
  readonly services: ConfigNode;
}

/**
 * Reads profile and `services/`.
 * @throws ConfigInvalidError with the findings of all files; NotFoundError when there is no such profile
 */
export async function readConfiguration(
  instance: Instance,
  profileName: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Configuration> {
  const { loadServices } = await import('../config/load-services.ts');
  const profile = await settle(loadProfile(instance, profileName, env));
  const services = await settle(loadServices(instance, 'value' in profile ? { profile: profile.value } : {}));
  if ('value' in profile && 'value' in services) {
    const { undeclaredTools } = await import('../config/declared-tools.ts');
    const undeclared = undeclaredTools(services.value, [instance.root, packageRoot()]);
    if (undeclared.length > 0) throw new ConfigInvalidError(undeclared);
    const { redactConfiguration } = await import('../config/redact.ts');
    const shown = {
      profile: redactConfiguration(profile.value),
      services: redactConfiguration(services.value.tree),
    };
    return { profile: profile.value, servers: services.value.mcpServers, shown };
  }
  throw new ConfigInvalidError([profile, services].flatMap((result) => ('issues' in result ? result.issues : [])));
}

/**
 * The processes that a configuration asks for.
 * @throws ConfigInvalidError naming every module and every secret that is missing; PreconditionError when the package is not built
 */
export async function specsFor(
  instance: Instance,
  { profile, servers }: Pick<Configuration, 'profile' | 'servers'>,
  secrets: SecretStore,
  onSchemas?: SpecSource['onSchemas'],
): Promise<{ readonly database: ServiceSpec | undefined; readonly services: readonly ServiceSpec[] }> {
  const { serviceSpecs } = await import('./specs.ts');
  const database = await databaseSpec(instance, profile, secrets);
  const source = { instance, profile, secrets, servers, packageRoot: packageRoot(), env: process.env, onSchemas };
  return { database, services: await serviceSpecs(source, database === undefined ? [] : [database.name]) };
}

/**
 * The embedded database; `undefined` when the profile names a server of the user's own.
 * @throws ConfigInvalidError for limits that can't be kept on this machine
 */
export async function databaseSpec(
  instance: Instance,
  profile: Profile,
  secrets: SecretStore,
): Promise<ServiceSpec | undefined> {
  const { usesOwnServer } = await import('../../infra/database/connections.ts');
  if (usesOwnServer(profile)) return undefined;
  const { embeddedPostgres } = await import('../../infra/process/postgres.ts');
  const { limits } = profile.services.database;
  const { limitIssues, withLimits } = await import('./with-limits.ts');
  const place = { file: profileFile(instance, profile.name), line: 1, column: 1 };
  // PostgreSQL refuses to run as root, and gets a user of its own then.
  const issues = limitIssues(limits, place, 'services.database.limits', process.getuid?.() === 0);
  if (issues.length > 0) throw new ConfigInvalidError(issues);
  return withLimits(await embeddedPostgres(instance, secrets), limits);
}

function lastValidFile(instance: Pick<Instance, 'runDir'>): string {
  return join(instance.runDir, 'last-valid.json');
}

/** Keeps the profile that is in force: should its file break, the database can still be reached. */
export async function keepProfile(instance: Pick<Instance, 'runDir'>, profile: Profile): Promise<void> {
  await writeFileAtomic(lastValidFile(instance), `${JSON.stringify({ version: 1, profile })}\n`, 0o600);
}

/**
 * The profile that was last in force; `undefined` when none is on record, or one of another name.
 * @throws PreconditionError when the file is damaged
 */
export async function keptProfile(instance: Pick<Instance, 'runDir'>, name: string): Promise<Profile | undefined> {
  const { profileFileSchema } = await import('../../infra/config/profile-schema.ts');
  const schema = z.object({ version: z.literal(1), profile: profileFileSchema });
  const found = await readJson(lastValidFile(instance), schema);
  // It was complete when it was written, and what the schema leaves optional is there.
  return found === undefined || found.profile.name !== name ? undefined : (found.profile as Profile);
}

type Settled<T> = { readonly value: T } | { readonly issues: readonly ConfigIssue[] };

/** Findings are gathered; every other error is thrown by itself. */
async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { issues: error.issues };
    throw error;
  }
}
