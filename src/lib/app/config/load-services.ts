import { type McpServerConfig, type McpServerYaml, sourceField, toServerConfig } from '../../domain/mcp/index.ts';
import type { Instance } from '../../infra/config/instance.ts';
import type { Profile } from '../../infra/config/profile.ts';
import { writtenPortRange } from '../../infra/config/tenant-ports.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { compose } from './compose.ts';
import { crossChecks, type PortRange } from './cross-checks.ts';
import { Declarations, type Declared } from './declarations.ts';
import { hookFaults } from './hook-checks.ts';
import { TextReader } from './included-text.ts';
import { literalSecrets } from './literal-secrets.ts';
import { readServicesFiles } from './read-files.ts';
import type { ConfigNode, ServicesConfiguration } from './types.ts';

export interface LoadServicesOptions {
  /** First and last port that MCP servers may have; not checked unless given, be it here or by the profile. */
  readonly portRange?: PortRange;
  /** The profile whose port ranges hold; for another tenant than `local` the ports are moved into them, and not checked. */
  readonly profile?: {
    readonly ports?: Profile['ports'];
    readonly tenant?: string;
    readonly security?: Pick<Profile['security'], 'access_token_ttl_seconds'>;
    /** In production servers for development alone are not in force. */
    readonly runtime?: { readonly environment?: Profile['runtime']['environment'] | undefined };
  };
  /** What files (absolute) would hold, instead of what they hold: to look at a change before it is made. */
  readonly texts?: ReadonlyMap<string, string>;
}

/**
 * Reads all of `services/`: the root file with what it includes, and the files that are found by themselves. Keep the
 * parts that are needed, not the whole: it holds the parsed files, so that it can tell where each value is written.
 * @throws ConfigInvalidError with the findings of all files, sorted by file and place; PreconditionError when a folder
 *   can't be read
 */
export async function loadServices(
  instance: Pick<Instance, 'servicesDir'>,
  options: LoadServicesOptions = {},
): Promise<ServicesConfiguration> {
  const { servicesDir } = instance;
  const { files, issues, looked, folders } = await readServicesFiles(servicesDir, options.texts);
  const declarations = new Declarations(files);
  const texts = new TextReader(servicesDir, looked);
  const composed = await compose(declarations, texts);
  const { ports, tenant } = options.profile ?? {};
  const ranges = {
    mcp: options.portRange ?? writtenPortRange(tenant, ports?.mcp),
    agents: writtenPortRange(tenant, ports?.agents),
    maxTtlSeconds: options.profile?.security?.access_token_ttl_seconds,
  };
  const findings = [
    ...issues,
    ...files.flatMap(literalSecrets),
    ...composed.issues,
    ...texts.issues,
    ...crossChecks(composed, declarations, ranges),
    ...(await hookFaults(composed, declarations)),
  ];
  if (findings.length > 0) throw new ConfigInvalidError(inOrder(findings));

  const production = options.profile?.runtime?.environment === 'production';
  const { agents, skills, servers, plugins, ai, content, scheduler, web, settings, extensions, origins } = composed;
  return {
    settings,
    mcpServers: byName(servers).map((server) => serverConfig(server, production)),
    agents: valuesOf(agents),
    skills: valuesOf(skills),
    ai,
    content,
    scheduler,
    web,
    plugins: valuesOf(plugins),
    extensions,
    files: [...looked].sort(),
    folders,
    tree: {
      settings,
      mcp_servers: mapOf(servers),
      agents: mapOf(agents),
      skills: mapOf(skills),
      ai,
      content,
      scheduler,
      web,
      plugins: mapOf(plugins),
      extensions,
    } as unknown as ConfigNode,
    originOf: (path) => origins.originOf(path),
    sourceOf: (path) => origins.sourceOf(path),
  };
}

function serverConfig({ name, value, yaml, path }: Declared<McpServerYaml>, production: boolean): McpServerConfig {
  const placeOf = (below: readonly (string | number)[], at?: 'key') => {
    const { line, column } = yaml.locate([...path, ...below], at);
    return { file: yaml.file, line, column };
  };
  const place = placeOf([sourceField(value)]);
  return toServerConfig(name, value, place, (below) => placeOf(below, 'key'), production);
}

function byName<T>(declared: readonly Declared<T>[]): Declared<T>[] {
  return declared.toSorted((a, b) => compare(a.name, b.name));
}

function valuesOf<T>(declared: readonly Declared<T>[]): T[] {
  return byName(declared).map(({ value }) => value);
}

function mapOf<T>(declared: readonly Declared<T>[]): Record<string, T> {
  return Object.fromEntries(byName(declared).map(({ name, value }) => [name, value]));
}

/** More than anybody reads. */
const FINDINGS_MAX = 500;

function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const sorted = issues.toSorted((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column);
  const next = sorted[FINDINGS_MAX];
  if (next === undefined) return sorted;
  const more = { ...next, message: `and ${sorted.length - FINDINGS_MAX} more`, hint: 'mend those before it first' };
  return [...sorted.slice(0, FINDINGS_MAX), more];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
