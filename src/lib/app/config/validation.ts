import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type McpServerConfig, mcpEndpointPath } from '../../domain/mcp/index.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { loadProfile, type Profile, profileFile } from '../../infra/config/profile.ts';
import { quoted } from '../../infra/config/quoted.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';
import { serverSecretName } from '../../infra/config/secrets/names.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { undeclaredTools } from './declared-tools.ts';
import { leaves, profileOrigins, settle } from './effective.ts';
import { loadServices } from './load-services.ts';
import { readServicesFiles } from './read-files.ts';
import type { ConfigNode, ConfigPath, Origin, ServicesConfiguration } from './types.ts';

export interface Finding extends ConfigIssue {
  /** A warning stops nothing, unless it is asked to. */
  readonly level: 'error' | 'warning';
}

/** A file of the configuration. */
export interface ConfigFile {
  readonly path: string;
  readonly shown: string;
  /** `profile`, or what kind of file of `services/` it is. */
  readonly kind: string;
}

export interface Validation {
  readonly files: readonly ConfigFile[];
  readonly findings: readonly Finding[];
  /** How many there are of each kind of thing; empty while anything is invalid. */
  readonly items: Readonly<Record<string, number>>;
}

const counted = ['mcp_servers', 'agents', 'skills', 'plugins'] as const;

/**
 * Checks everything that decides how the system runs, without touching what runs.
 * @param secretNames the names under which secrets are kept, to warn of those that are asked for and are not there
 */
export async function validateConfiguration(
  instance: Instance,
  profileName: string,
  env: NodeJS.ProcessEnv,
  secretNames: ReadonlySet<string>,
): Promise<Validation> {
  const file = profileFile(instance, profileName);
  const profile = await settle(loadProfile(instance, profileName, env));
  const services = await settle(loadServices(instance, 'value' in profile ? { profile: profile.value } : {}));
  const { files: read } = await readServicesFiles(instance.servicesDir);
  const files: ConfigFile[] = [
    { path: file, shown: displayPath(file), kind: 'profile' },
    ...read.map(({ path, kind }) => ({ path, shown: displayPath(path), kind: kind.id })),
  ];
  const errors = [profile, services].flatMap((part) => ('issues' in part ? part.issues : []));
  const findings: Finding[] = errors.map((issue) => ({ ...issue, level: 'error' }));
  findings.push(
    ...(await unread(instance, 'value' in services ? services.value.files : files.map(({ path }) => path))),
  );
  let items = {};
  if ('value' in profile && 'value' in services) {
    const tree = services.value.tree as { readonly [section: string]: ConfigNode };
    items = Object.fromEntries(counted.map((section) => [section, Object.keys(tree[section] ?? {}).length]));
    const origins = await profileOrigins(instance, profileName);
    const undeclared = undeclaredTools(services.value, [instance.root, packageRoot()]);
    findings.push(
      ...undeclared.map((issue) => ({ ...issue, level: 'error' as const })),
      ...secretWarnings(profile.value, services.value, origins, secretNames),
      ...sharedAudiences(services.value, profile.value.server.external_url),
    );
  }
  return { files, findings: inOrder(findings), items };
}

/** YAML files in `services/` that are of no effect: no file includes them and no folder gives them a meaning. */
async function unread({ servicesDir }: Instance, files: readonly string[]): Promise<Finding[]> {
  const entries = await readdir(servicesDir, { recursive: true, withFileTypes: true }).catch(() => []);
  const known = new Set(files);
  return entries
    .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !known.has(path) && !path.includes('/node_modules/'))
    .map((path) => ({
      file: displayPath(path),
      line: 1,
      column: 1,
      message: 'nothing reads this file',
      hint: 'include it in services/config/config.yaml, or remove it',
      level: 'warning' as const,
    }));
}

type OriginOf = (path: ConfigPath) => Origin | undefined;

/** Secrets that are asked for and are not kept, and passwords that are written out. */
function secretWarnings(
  profile: Profile,
  services: ServicesConfiguration,
  profileOrigin: OriginOf,
  names: ReadonlySet<string>,
): Finding[] {
  const all = [
    ...leaves(JSON.parse(JSON.stringify(profile)) as ConfigNode).map((leaf) => ({ ...leaf, origin: profileOrigin })),
    ...leaves(services.tree).map((leaf) => ({ ...leaf, origin: services.originOf })),
  ];
  const written = all.flatMap(({ path, value, origin }) => {
    const at = typeof value === 'string' ? origin(path) : undefined;
    if (at === undefined) return [];
    const name = secretReference(value as string);
    if (name === undefined) {
      if (!/:\/\/[^\s:/?#@]*:[^\s/?#@]+@/.test(value as string)) return [];
      const hint = 'keep the address with cloud secrets set, and write ${secret:NAME} here';
      return [{ ...at, message: 'a password is written out', hint, level: 'warning' as const }];
    }
    const [section, server] = path;
    const own = section === 'mcp_servers' && names.has(serverSecretName(String(server), name));
    if (own || names.has(name)) return [];
    return [
      {
        ...at,
        message: `the secret ${name} is not kept`,
        hint: `cloud secrets set ${name}`,
        level: 'warning' as const,
      },
    ];
  });
  return [...written, ...services.mcpServers.flatMap((server) => variableWarnings(server, names))];
}

/** Audiences of older files, which a token for one server had in common with those for others. */
function sharedAudiences({ tree, mcpServers, originOf }: ServicesConfiguration, externalUrl: string): Finding[] {
  const written = tree as { readonly mcp_servers: Readonly<Record<string, { readonly oauth: { audience?: string } }>> };
  return mcpServers.flatMap(({ name }) => {
    const { audience } = written.mcp_servers[name]?.oauth ?? {};
    const at = originOf(['mcp_servers', name, 'oauth', 'audience']);
    const own = `${externalUrl}${mcpEndpointPath(name)}`;
    if (audience === undefined || at === undefined || audience === own) return [];
    const message = `the audience ${quoted(audience)} is not used: a token with a shared one would open every server that accepts it`;
    const hint = `take it out: tokens for ${name} are for ${own} alone`;
    return [{ ...at, message, hint, level: 'warning' as const }];
  });
}

/** Variables that a server requires and that nothing gives a value. */
function variableWarnings(server: McpServerConfig, names: ReadonlySet<string>): Finding[] {
  return server.variables.flatMap(({ name, required, value, default: fallback }) => {
    if (!required || value !== undefined || fallback !== undefined) return [];
    if (names.has(name) || names.has(serverSecretName(server.name, name))) return [];
    const at = server.variablesAt[name] ?? server.moduleAt;
    const message = `the variable ${name}, which ${server.name} requires, has no value`;
    return [{ ...at, message, hint: `cloud secrets set ${name} --server ${server.name}`, level: 'warning' as const }];
  });
}

function inOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => {
    if (a.level !== b.level) return a.level === 'error' ? -1 : 1;
    return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
  });
}
