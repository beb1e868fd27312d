import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { portWithin } from '../../infra/config/tenant-ports.ts';
import { httpHealth } from '../../infra/process/health.ts';
import { logLimits } from '../../infra/process/log-rotation.ts';
import { logEnvironment } from '../../infra/process/own-log.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { traceEnvironment } from '../../infra/telemetry/open-tracer.ts';
import type { BridgeSettings } from '../bridge/settings.ts';
import { serverDatabaseUrl } from '../extensions/server-migrations.ts';
import {
  admitSchemas,
  builtMain,
  drainMs,
  handedOn,
  hashOf,
  mcpServiceName,
  type OwnOfServer,
  pick,
  presenceOf,
  type SpecSource,
  startMs,
} from './spec-parts.ts';

/** A bridge starts what it stands for only on demand; with a program of its own it has to wait for that, in ms. */
const bridgeStartMs = 10_000;

/** A smaller space for young garbage: a fifth less memory under load for no fewer calls. */
const bridgeNodeArguments: readonly string[] = ['--max-semi-space-size=8'];

/**
 * The bridge of a server that is none of our modules: a program on standard input and output, one that speaks HTTP in
 * another language, or an endpoint elsewhere.
 */
export function bridgeSpec(
  source: SpecSource,
  server: McpServerConfig,
  own: OwnOfServer,
  dependsOn: readonly string[],
): ServiceSpec {
  const { profile, instance, packageRoot, secrets, env } = source;
  const main = builtMain(packageRoot, 'bridge');
  const settings = settingsOf(server, own, instance.root);
  const { mcp: range } = profile.ports;
  const traces = traceEnvironment(profile.telemetry, env);
  return {
    name: mcpServiceName(server.name),
    kind: 'mcp',
    configuredAt: `${server.moduleAt.file}:${server.moduleAt.line}:${server.moduleAt.column}`,
    dependsOn,
    port: { preferred: portWithin(range, server.port ?? spread(server.name)), range },
    handOver: true,
    artefactHash: hashOf(readFileSync(main)),
    configHash: hashOf(
      JSON.stringify([
        [server.name, server.port, server.env, server.variables, server.inheritedEnv, settings],
        [profile.runtime.log_level, profile.runtime.environment],
        profile.logging,
        ...(settings.kind === 'http' ? [profile.database, ...own.rotated([`database.mcp.${server.name}`])] : []),
        ...(own.fingerprint === '' ? [] : [own.fingerprint]),
        ...(profile.telemetry.traces === 'on' ? [traces] : []),
        ...own.rotated(['identity.root']),
      ]),
    ),
    prepare: presenceOf(main),
    command: async ({ instanceId, port }) => {
      const { deriveIdentityKey } = await import('../../infra/security/identity-header.ts');
      const root = Buffer.from(await secrets.require('identity.root'), 'base64url');
      const database = settings.kind === 'http' ? { DATABASE_URL: await serverDatabaseUrl(source, server) } : {};
      if (settings.kind === 'http' && server.schemas !== undefined) await admitSchemas(source, server);
      return {
        file: process.execPath,
        args: [...bridgeNodeArguments, main],
        env: {
          ...pick(env, [...handedOn, ...server.inheritedEnv]),
          ...own.env,
          ...database,
          SYSTEMPROMPT_ENVIRONMENT: profile.runtime.environment,
          MCP_SERVICE_ID: server.name,
          MCP_PORT: String(port),
          SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(deriveIdentityKey(root, instanceId)).toString('base64url'),
          SYSTEMPROMPT_BRIDGE: JSON.stringify(settings),
          ...logEnvironment(profile.runtime.log_level, logLimits(profile.logging)),
          ...traces,
          SYSTEMPROMPT_SECRET_VARIABLES: own.secret.join(','),
        },
        cwd: instance.root,
      };
    },
    probe: (context) => httpHealth(context),
    stop: { signal: 'SIGTERM', graceMs: drainMs },
    readyTimeoutMs: settings.kind === 'http' ? (server.process?.startTimeoutMs ?? startMs) + bridgeStartMs : startMs,
    rotatesItsLog: true,
  };
}

function settingsOf(server: McpServerConfig, own: OwnOfServer, root: string): BridgeSettings {
  const { kind, command, process, external } = server;
  return {
    kind: kind === 'external' ? 'external' : kind === 'stdio' ? 'stdio' : 'http',
    ...(command === undefined
      ? {}
      : {
          command: {
            // A bare name is looked for on the PATH.
            program: /[\\/]/.test(command.program) ? resolve(root, command.program) : command.program,
            args: [...command.args],
            cwd: command.cwd !== undefined && isAbsolute(command.cwd) ? command.cwd : resolve(root, command.cwd ?? '.'),
          },
        }),
    ...(process === undefined ? {} : { process: { ...process, userVariables: [...process.userVariables] } }),
    ...(external === undefined ? {} : { external }),
    variables: [...new Set([...Object.keys(own.env), ...server.inheritedEnv])],
  };
}

/** A port to begin with for one that has none of its own: the same at each start, and seldom that of another. */
function spread(name: string): number {
  return [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 1_000_003, 7);
}
