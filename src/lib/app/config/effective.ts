import type { Instance } from '../../infra/config/instance.ts';
import { loadProfile, profileFile } from '../../infra/config/profile.ts';
import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { parseYamlFile } from '../../infra/config/yaml.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { loadServices } from './load-services.ts';
import { redactConfiguration } from './redact.ts';
import type { ConfigNode, ConfigPath, Origin, ServicesConfiguration } from './types.ts';

/** What made a value what it is. */
export type ValueSource =
  | { readonly kind: 'environment'; readonly variable: string }
  | ({ readonly kind: 'file' } & Origin)
  | { readonly kind: 'default' };

/** One value in force, and why. Maps and lists of maps are spread; a list of plain values is one value. */
export interface EffectiveValue {
  readonly path: ConfigPath;
  /** Without secrets. */
  readonly value: ConfigNode;
  readonly source: ValueSource;
}

/** The profile and `services/` as the files, the environment and the defaults have them together, without secrets. */
export interface EffectiveConfiguration {
  readonly profileName: string;
  readonly profile: { readonly [section: string]: ConfigNode };
  readonly services: { readonly [section: string]: ConfigNode };
  /** Which file of `services/` a value belongs to. */
  readonly sourcePath: ServicesConfiguration['sourceOf'];
  sourceOf(path: ConfigPath): ValueSource;
}

/** Environment variables that go before a field of the profile. */
const profileVariables: readonly { readonly variable: string; readonly path: ConfigPath }[] = [
  { variable: 'SYSTEMPROMPT_SERVER_PORT', path: ['server', 'port'] },
];

/**
 * Reads everything that decides how the system runs. The sections of the profile and those of `services/` have names of
 * their own, so that a path (`server.port`, `mcp_servers.crm.port`) says which is meant.
 * @throws ConfigInvalidError with the findings of all files; NotFoundError when there is no such profile
 */
export async function loadEffective(
  instance: Instance,
  profileName: string,
  env: NodeJS.ProcessEnv,
): Promise<EffectiveConfiguration> {
  const profile = await settle(loadProfile(instance, profileName, env));
  const services = await settle(loadServices(instance, 'value' in profile ? { profile: profile.value } : {}));
  if (!('value' in profile) || !('value' in services)) {
    throw new ConfigInvalidError([profile, services].flatMap((part) => ('issues' in part ? part.issues : [])));
  }
  const profileOrigin = await profileOrigins(instance, profileName);
  const variables = profileVariables.filter(({ variable }) => env[variable]);
  const sections = Object.keys(profile.value);
  return {
    profileName,
    profile: redactConfiguration(profile.value) as { readonly [section: string]: ConfigNode },
    services: redactConfiguration(services.value.tree) as { readonly [section: string]: ConfigNode },
    sourcePath: (path) => services.value.sourceOf(path),
    sourceOf(path) {
      const override = variables.find((candidate) => samePath(candidate.path, path));
      if (override !== undefined) return { kind: 'environment', variable: override.variable };
      const origin = sections.includes(String(path[0])) ? profileOrigin(path) : services.value.originOf(path);
      return origin === undefined ? { kind: 'default' } : { kind: 'file', ...origin };
    },
  };
}

/** Where the values of a profile that holds are written. */
export async function profileOrigins(
  instance: Pick<Instance, 'projectDir'>,
  profileName: string,
): Promise<(path: ConfigPath) => Origin | undefined> {
  const written = await parseYamlFile(profileFile(instance, profileName), profileFileSchema);
  if ('issues' in written) throw new ConfigInvalidError(written.issues);
  return (path) => (written.has(path) ? { file: written.file, ...written.locate(path) } : undefined);
}

/** The value at a path, without secrets; undefined when there is none. */
export function effectiveNode(
  { profile, services }: Pick<EffectiveConfiguration, 'profile' | 'services'>,
  path: ConfigPath,
): ConfigNode | undefined {
  let node: ConfigNode | undefined = { ...profile, ...services };
  for (const step of path) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, step)) return undefined;
    node = (node as { readonly [key: string | number]: ConfigNode })[step];
  }
  return node;
}

/** Every value below a path, in the order of the files. */
export function effectiveValues(configuration: EffectiveConfiguration, path: ConfigPath = []): EffectiveValue[] {
  const node = effectiveNode(configuration, path);
  if (node === undefined) return [];
  return leaves(node, path).map((leaf) => ({ ...leaf, source: configuration.sourceOf(leaf.path) }));
}

/** The values of a tree with their paths. */
export function leaves(node: ConfigNode, path: ConfigPath = []): Omit<EffectiveValue, 'source'>[] {
  const isTree = typeof node === 'object' && node !== null && Object.keys(node).length > 0;
  const plain = Array.isArray(node) && node.every((entry) => typeof entry !== 'object' || entry === null);
  if (!isTree || plain) return [{ path, value: node }];
  const entries: [string | number, ConfigNode][] = Array.isArray(node)
    ? (node as readonly ConfigNode[]).map((entry, index) => [index, entry])
    : Object.entries(node as { readonly [key: string]: ConfigNode });
  return entries.flatMap(([step, entry]) => leaves(entry, [...path, step]));
}

/** The environment variable that is set and goes before the field at a path; undefined when none does. */
export function variableOver(path: string, env: NodeJS.ProcessEnv): string | undefined {
  return profileVariables.find(({ variable, path: field }) => env[variable] && field.join('.') === path)?.variable;
}

/** How a source is told: `profile.yaml:5:9`, `SYSTEMPROMPT_SERVER_PORT`, `default`. */
export function sourceText(source: ValueSource): string {
  if (source.kind === 'file') return `${source.file}:${source.line}:${source.column}`;
  return source.kind === 'environment' ? source.variable : 'default';
}

function samePath(a: ConfigPath, b: ConfigPath): boolean {
  return a.length === b.length && a.every((step, index) => String(step) === String(b[index]));
}

export type Settled<T> = { readonly value: T } | { readonly issues: readonly ConfigIssue[] };

/** Findings are gathered; every other error is thrown by itself. */
export async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { issues: error.issues };
    throw error;
  }
}
