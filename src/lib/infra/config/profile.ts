import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ConfigInvalidError, NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { profileNameForm, tenantOfProfile } from './active-profile.ts';
import type { Instance } from './instance.ts';
import type { ProfileFile } from './profile-schema.ts';

// zod and yaml are imported when a profile is read, not before: the command line starts without them.

/** The settings of one environment, complete: what the file leaves out has its default. */
export interface Profile
  extends Omit<ProfileFile, 'name' | 'display_name' | 'server' | 'database' | 'security' | 'runtime' | 'rate_limits'> {
  readonly name: string;
  readonly display_name: string;
  readonly server: Omit<ProfileFile['server'], 'external_url' | 'host' | 'https'> & {
    readonly external_url: string;
    readonly host: string;
    /** Paths are absolute; empty without https. */
    readonly https: { readonly certificate?: string; readonly key?: string };
  };
  readonly database: { readonly url?: string };
  readonly security: Omit<ProfileFile['security'], 'issuer'> & { readonly issuer: string };
  readonly runtime: ProfileFile['runtime'] & {
    readonly environment: NonNullable<ProfileFile['runtime']['environment']>;
  };
  readonly rate_limits: ProfileFile['rate_limits'] & { readonly enabled: boolean };
}

/** Where the profile of that name is kept. */
export function profileFile(instance: Pick<Instance, 'projectDir'>, name: string): string {
  return join(instance.projectDir, 'profiles', name, 'profile.yaml');
}

/**
 * Checks that there is a profile of that name; it is not read.
 * @throws UsageError for what can't be a profile's name, NotFoundError when there is none of that name
 */
export async function requireProfile(instance: Pick<Instance, 'projectDir'>, name: string): Promise<void> {
  if (!profileNameForm.test(name)) {
    throw new UsageError('That is no name for a profile.', {
      hint: 'Use lower-case letters, digits and dashes, at most 50.',
    });
  }
  const available = await profileNames(instance);
  if (!available.includes(name)) {
    throw new NotFoundError(`There is no profile \`${name}\`.`, {
      hint:
        available.length === 0
          ? `None is in ${join(instance.projectDir, 'profiles')}.`
          : `There is: ${available.join(', ')}.`,
      next: ['cloud profile list'],
      data: { profile: name, available },
    });
  }
}

/**
 * Reads a profile. Precedence: environment, then the file, then the defaults; a flag reaches us as environment.
 * @throws UsageError for what can't be a profile's name, NotFoundError when there is none of that name,
 *   ConfigInvalidError with every finding, PreconditionError for a broken override in the environment
 */
export async function loadProfile(
  instance: Pick<Instance, 'projectDir'>,
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Profile> {
  await requireProfile(instance, name);
  const [{ parseYamlFile }, { profileFileSchema }, { profileIssues }] = await Promise.all([
    import('./yaml.ts'),
    import('./profile-schema.ts'),
    import('./profile-checks.ts'),
  ]);
  const parsed = await parseYamlFile(profileFile(instance, name), profileFileSchema);
  if ('issues' in parsed) throw new ConfigInvalidError(parsed.issues);
  const portOverride = portFromEnvironment(env);
  const folder = dirname(profileFile(instance, name));
  const issues = await profileIssues(parsed, { name, folder, tenant: tenantOfProfile(instance.projectDir, name) });
  if (issues.length > 0) throw new ConfigInvalidError(issues);
  if (portOverride !== undefined && portOverride === parsed.value.telemetry.metrics_port) {
    throw new PreconditionError('SYSTEMPROMPT_SERVER_PORT is the port of `telemetry.metrics_port` in the profile.', {
      hint: 'Give the API another port by it (or by --port), or change `telemetry.metrics_port`.',
      data: { variable: 'SYSTEMPROMPT_SERVER_PORT' },
    });
  }
  return complete(parsed.value, name, folder, portOverride);
}

/** The profiles of an instance, sorted. */
export async function profileNames(instance: Pick<Instance, 'projectDir'>): Promise<string[]> {
  const folder = join(instance.projectDir, 'profiles');
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new PreconditionError(`${folder} can't be read (${error.code}).`, { cause: error });
  });
  return entries
    .filter((entry) => entry.isDirectory() && profileNameForm.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}

function complete(file: ProfileFile, name: string, folder: string, portOverride: number | undefined): Profile {
  const cloud = file.target === 'cloud';
  const port = portOverride ?? file.server.port;
  const { certificate, key } = file.server.https;
  const https =
    certificate === undefined || key === undefined
      ? {}
      : { certificate: resolve(folder, certificate), key: resolve(folder, key) };
  const externalUrl = file.server.external_url ?? `${certificate === undefined ? 'http' : 'https'}://localhost:${port}`;
  const environment = file.runtime.environment ?? (cloud ? 'production' : 'development');
  const counted = environment === 'staging' || environment === 'production';
  const { url } = file.database;
  return {
    name,
    display_name: file.display_name ?? name,
    target: file.target,
    tenant: file.tenant,
    server: {
      ...file.server,
      host: file.server.host ?? (cloud ? '0.0.0.0' : 'localhost'),
      port,
      external_url: externalUrl,
      https,
    },
    database: url === undefined ? {} : { url },
    security: { ...file.security, issuer: file.security.issuer ?? externalUrl },
    mail: file.mail,
    ports: file.ports,
    limits: file.limits,
    audit: file.audit,
    rate_limits: { ...file.rate_limits, enabled: file.rate_limits.enabled ?? counted },
    services: file.services,
    paths: file.paths,
    runtime: { ...file.runtime, environment },
    logging: file.logging,
    telemetry: file.telemetry,
  };
}

function portFromEnvironment(env: NodeJS.ProcessEnv): number | undefined {
  const text = env.SYSTEMPROMPT_SERVER_PORT;
  if (text === undefined || text === '') return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new PreconditionError('SYSTEMPROMPT_SERVER_PORT is no port.', {
    hint: 'Set it (or --port) to a number from 1 to 65535, or unset it.',
    data: { variable: 'SYSTEMPROMPT_SERVER_PORT' },
  });
}
