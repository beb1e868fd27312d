import { readFileSync } from 'node:fs';
import { isBridged, type McpServerConfig } from '../../domain/mcp/index.ts';
import { keySourceVariables } from '../../infra/config/master-key/variables.ts';
import { type Profile, profileFile } from '../../infra/config/profile.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import { portWithin } from '../../infra/config/tenant-ports.ts';
import { httpHealth } from '../../infra/process/health.ts';
import { logLimits } from '../../infra/process/log-rotation.ts';
import { logEnvironment } from '../../infra/process/own-log.ts';
import { probeSocketOf, removeProbeSocket, sweepProbeSockets } from '../../infra/process/probe-socket.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { traceEnvironment } from '../../infra/telemetry/open-tracer.ts';
import { ConfigInvalidError } from '../../shared/errors.ts';
import { artifactParts } from '../build/artifact-file.ts';
import { serverDatabaseUrl } from '../extensions/server-migrations.ts';
import { apiServiceNames, apiSharesPort } from './api-names.ts';
import { bootGate } from './boot-gate.ts';
import { bridgeSpec } from './bridge-spec.ts';
import {
  admitSchemas,
  builtMain,
  drainMs,
  handedOn,
  hashOf,
  mcpServiceName,
  nodeEnvironment,
  type OwnOfServer,
  pick,
  presenceOf,
  type Rotated,
  type SpecSource,
  startMs,
} from './spec-parts.ts';
import { limitIssues, withLimits } from './with-limits.ts';

/** What one server of ours has beside its configuration. */
interface OwnOfModule extends OwnOfServer {
  readonly module: string;
}

/** A smaller space for young garbage: 100 MB less under load than by default for 5 % of the calls (bench/mcp-router). */
export const apiNodeArguments: readonly string[] = ['--max-semi-space-size=8'];

const loopback = new Set(['localhost', '127.0.0.1', '::1']);

/**
 * The services of an installation beside its database.
 * @param dependsOn what each of them needs first: the database, unless it is somebody else's
 * @throws ConfigInvalidError naming everything that keeps one of them from starting;
 *   PreconditionError when the package is not built
 */
export async function serviceSpecs(source: SpecSource, dependsOn: readonly string[]): Promise<ServiceSpec[]> {
  const gate = await bootGate(source);
  const { api } = source.profile.services;
  const place = { file: profileFile(source.instance, source.profile.name), line: 1, column: 1 };
  const issues = [...gate.issues, ...limitIssues(api.limits, place, 'services.api.limits')];
  if (issues.length > 0) throw new ConfigInvalidError(issues, gate.next.length > 0 ? { next: gate.next } : {});
  const rotated = await rotatedSecrets(source.secrets);
  const mcp = gate.servers.flatMap(({ server, module, variables }) => {
    const own = { ...variables, rotated };
    if (isBridged(server)) return [withLimits(bridgeSpec(source, server, own, dependsOn), server.limits)];
    if (module === undefined) return [];
    return [withLimits(mcpSpec(source, server, { module, ...own }, dependsOn), server.limits)];
  });
  return [...apiSpecs(source, dependsOn, rotated).map((spec) => withLimits(spec, api.limits)), ...mcp];
}

/** What an API process goes by: neither what the supervisor does with it, nor what is for people and the command line. */
function apiSettings({ services: _, display_name: __, runtime, ...settings }: Profile): object {
  return { ...settings, log_level: runtime.log_level };
}

/** How a process of the API is asked for its health: by its own socket, since by the port any worker could answer. */
export function apiProbe(runtimeDir: string): Pick<ServiceSpec, 'probe' | 'cleanUp' | 'sweep'> {
  return {
    probe: (context) => httpHealth(context, { socketPath: probeSocketOf(runtimeDir, context.instanceId) }),
    cleanUp: async (instanceId) => removeProbeSocket(runtimeDir, instanceId),
    sweep: () => sweepProbeSockets(runtimeDir),
  };
}

function apiSpecs(source: SpecSource, dependsOn: readonly string[], rotated: Rotated): ServiceSpec[] {
  const { profile, instance, packageRoot, env } = source;
  const main = builtMain(packageRoot, 'api');
  const { host, port, workers } = profile.server;
  const { runtimeDir } = instance;
  const artefactHash = hashOf(readFileSync(main));
  const own = apiSettings(profile);
  const traces = traceEnvironment(profile.telemetry, env);
  const replaced = rotated(['database.app', 'database.audit', 'database.sealer', 'identity.root', 'audit.signing']);
  const configHash = hashOf(
    JSON.stringify([
      own,
      source.servers.map(plainServer),
      ...replaced,
      ...(profile.telemetry.traces === 'on' ? [traces] : []),
    ]),
  );
  return apiServiceNames(workers).map((name) => ({
    name,
    kind: 'api',
    dependsOn,
    port: { preferred: port, ...(apiSharesPort ? { shared: { loopback: loopback.has(host) } } : {}) },
    handOver: apiSharesPort,
    artefactHash,
    configHash,
    prepare: presenceOf(main),
    command: async ({ instanceId, successor }) => ({
      file: process.execPath,
      args: [...apiNodeArguments, main],
      env: {
        ...pick(env, [...handedOn, ...keySourceVariables]),
        SYSTEMPROMPT_SERVER_PORT: String(port),
        ...logEnvironment(profile.runtime.log_level, logLimits(profile.logging)),
        ...traces,
        SYSTEMPROMPT_PROBE_SOCKET: probeSocketOf(runtimeDir, instanceId),
        ...(apiSharesPort ? { SYSTEMPROMPT_SHARED_PORT: 'yes' } : {}),
        ...(successor === true ? { SYSTEMPROMPT_SUCCESSOR: 'yes' } : {}),
      },
      cwd: instance.root,
    }),
    ...apiProbe(runtimeDir),
    stop: { signal: 'SIGTERM', graceMs: drainMs },
    readyTimeoutMs: startMs,
    rotatesItsLog: true,
  }));
}

function mcpSpec(
  source: SpecSource,
  server: McpServerConfig,
  own: OwnOfModule,
  dependsOn: readonly string[],
): ServiceSpec {
  const { module } = own;
  const { profile, instance, packageRoot, secrets, env } = source;
  const main = builtMain(packageRoot, 'mcp');
  const traces = traceEnvironment(profile.telemetry, env);
  return {
    name: mcpServiceName(server.name),
    kind: 'mcp',
    configuredAt: `${server.moduleAt.file}:${server.moduleAt.line}:${server.moduleAt.column}`,
    dependsOn,
    // A declared port is a preference: a stranger there is stepped around, the row says where the server went.
    port: { preferred: portWithin(profile.ports.mcp, server.port ?? profile.ports.mcp[0]), range: profile.ports.mcp },
    handOver: true,
    artefactHash: hashOf(readFileSync(main), ...artifactParts(module)),
    configHash: hashOf(
      JSON.stringify([
        // What its process gets; what the router goes by (scopes, timeouts, names for people) counts for the API alone.
        [server.name, server.port, server.env, server.variables, server.inheritedEnv, secretArguments(server)],
        profile.database,
        [profile.runtime.log_level, profile.runtime.environment],
        profile.logging,
        ...(server.schemas === undefined
          ? []
          : [{ ...server.schemas, tables: server.schemas.tables.map(({ at: _, ...table }) => table) }]),
        ...(own.fingerprint === '' ? [] : [own.fingerprint]),
        ...(profile.telemetry.traces === 'on' ? [traces] : []),
        ...own.rotated([`database.mcp.${server.name}`, 'identity.root']),
      ]),
    ),
    prepare: presenceOf(main, module),
    command: async ({ instanceId, port }) => {
      const { deriveIdentityKey } = await import('../../infra/security/identity-header.ts');
      const root = Buffer.from(await secrets.require('identity.root'), 'base64url');
      const databaseUrl = await serverDatabaseUrl(source, server);
      if (server.schemas !== undefined) await admitSchemas(source, server);
      return {
        file: process.execPath,
        args: [main],
        env: {
          NODE_ENV: nodeEnvironment(profile.runtime.environment),
          ...pick(env, [...handedOn, ...server.inheritedEnv]),
          ...own.env,
          SYSTEMPROMPT_ENVIRONMENT: profile.runtime.environment,
          MCP_SERVICE_ID: server.name,
          MCP_PORT: String(port),
          DATABASE_URL: databaseUrl,
          SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(deriveIdentityKey(root, instanceId)).toString('base64url'),
          SYSTEMPROMPT_EXTENSION: module,
          ...logEnvironment(profile.runtime.log_level, logLimits(profile.logging)),
          ...traces,
          SYSTEMPROMPT_SECRET_VARIABLES: own.secret.join(','),
          SYSTEMPROMPT_VARIABLES: [...Object.keys(own.env), ...server.inheritedEnv].join(','),
          SYSTEMPROMPT_SECRET_ARGUMENTS: JSON.stringify(secretArguments(server)),
        },
        cwd: instance.root,
      };
    },
    probe: (context) => httpHealth(context),
    stop: { signal: 'SIGTERM', graceMs: drainMs },
    readyTimeoutMs: startMs,
    rotatesItsLog: true,
  };
}

/** One that was never replaced counts for nothing: some are made only when a server is first started. */
async function rotatedSecrets(secrets: Pick<SecretStore, 'describe'>): Promise<Rotated> {
  const current = new Map((await secrets.describe()).map(({ name, current: number }) => [name, number]));
  return (names) => names.flatMap((name) => ((current.get(name) ?? 1) > 1 ? [`${name} ${current.get(name)}`] : []));
}

/** The arguments that the configuration marks secret, by tool. */
function secretArguments({ tools }: McpServerConfig): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...tools].flatMap(([name, { secret }]) => (secret.size === 0 ? [] : [[name, [...secret]]])),
  );
}

/** Maps and sets as JSON shows them; without the place in the file, which changes nothing of what runs, and the limits and tables, which count for the server alone. */
function plainServer({
  tools,
  moduleAt: _,
  limits: __,
  variablesAt: ___,
  schemas: ____,
  ...server
}: McpServerConfig): object {
  return { ...server, tools: [...tools].map(([name, tool]) => [name, { ...tool, secret: [...tool.secret] }]) };
}
