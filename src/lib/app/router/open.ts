import { AuditWriter } from '../../domain/governance/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { ConnectionConfig } from '../../infra/database/connection.ts';
import { openDedicated } from '../../infra/database/dedicated.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { Circuits } from '../../infra/process/spec.ts';
import type { ApiMetrics } from '../../infra/telemetry/api-metrics.ts';
import { PreconditionError } from '../../shared/errors.ts';
import type { Tracer } from '../../shared/tracing.ts';
import type { ToolCatalogue } from '../catalogue/catalogue.ts';
import { ToolWatcher } from '../catalogue/watcher.ts';
import type { ToolCall } from '../executor/call.ts';
import { Executor, type ExecutorOptions } from '../executor/executor.ts';
import { type Identity, instanceAudience } from '../identity.ts';
import { type Allowances, OwnAllowances } from '../rate-limit/quota.ts';
import type { RateLimiter } from '../rate-limits.ts';
import { Breakers, type CircuitState } from './breaker.ts';
import { Delegation } from './delegation.ts';
import { createMcpRouter, type McpRouter, type McpRouterDeps } from './router.ts';
import { ServerLimits } from './server-limits.ts';
import { RouterTracing } from './tracing.ts';
import { type Directory, Upstreams } from './upstreams.ts';

export interface McpGatewayOptions {
  readonly servers: readonly McpServerConfig[];
  readonly identity: Pick<Identity, 'addresses' | 'issuer' | 'verifier'>;
  readonly directory: Directory;
  /** Which tools the servers have; without it each is let through. */
  readonly catalogue?: ToolCatalogue | undefined;
  /** The database in the audit role. */
  readonly audit: ConnectionConfig;
  /** Secret `identity.root`: 32 bytes in base64url. */
  readonly identityRoot: string;
  /** Id of this API process (uuid), as the supervisor spawned it. */
  readonly apiInstance: string;
  /** `limits` of the profile. */
  readonly limits: {
    readonly body_bytes: number;
    readonly call_timeout_ms: number;
    readonly session_idle_s?: number;
    readonly body_timeout_ms?: number;
    readonly quiet_ms?: number;
  };
  /** The database in the application's role, for the system; without it sessions are not on record. */
  readonly database?: McpRouterDeps['database'];
  /** Folder with the sockets of the API processes, by which they reach each other. */
  readonly peerSockets?: string | undefined;
  /** Where requests to single servers are counted; in the memory of this process unless told. */
  readonly allowances?: Allowances;
  /** Counts the requests of each caller; absent when they are not counted. */
  readonly rateLimiter?: RateLimiter | undefined;
  /** Proxies whose signed word on the caller is taken. */
  readonly proxies?: McpRouterDeps['proxies'];
  /** What else may speak against a call, in this order: see `ExecutorOptions.admission`. */
  readonly admission?: ExecutorOptions['admission'];
  /** The rules and hooks; absent where there are none. */
  readonly policy?: ExecutorOptions['policy'];
  readonly approvals?: McpRouterDeps['approvals'];
  /** What servers behind want with their requests. */
  readonly credentials?: McpRouterDeps['credentials'];
  /** Keeps what tools return as artifacts. */
  readonly artifacts?: ExecutorOptions['artifacts'];
  /** Makes spans of requests; none are made without. */
  readonly tracer?: Tracer | undefined;
  readonly log: Logger;
  /** Hears what is measured. */
  readonly metrics?: GatewayMetrics | undefined;
}

/** The MCP router with everything behind it. */
export interface McpGateway {
  readonly router: McpRouter;
  /** Whether a server gets requests now, as this process sees it. */
  circuitOf(server: string): CircuitState;
  /** Those that do not get all requests. */
  circuits(): Circuits;
  /** @throws AuditUnavailableError while calls would be refused for want of the audit */
  assertReady(): void;
  /** Lets running calls come to their end for `graceMs`, writes the last rows, ends all connections. */
  close(graceMs?: number): Promise<void>;
}

/** What of the measures the gateway feeds. */
type GatewayMetrics = Pick<ApiMetrics, 'toolCall' | 'auditCommit'> &
  Partial<Pick<ApiMetrics, 'circuit' | 'rateLimitRefusal'>>;

const connectTimeoutMs = 3_000;

/** Wires audit, executor and router; the audit connects by itself, and calls are refused until it has. */
export function openMcpGateway(options: McpGatewayOptions): McpGateway {
  const { identity, limits, log, metrics } = options;
  const tracing = options.tracer && new RouterTracing(options.tracer);
  const policy =
    tracing === undefined || options.policy === undefined ? options.policy : tracing.policy(options.policy);
  const identityRoot = new Uint8Array(Buffer.from(options.identityRoot, 'base64url'));
  if (identityRoot.length !== 32) throw new PreconditionError('The secret identity.root is not 32 bytes in base64url.');
  const audit = new AuditWriter({
    connect: () => openDedicated(options.audit, { applicationName: 'systemprompt-audit', connectTimeoutMs }),
    instance: options.apiInstance,
    log,
    onCommit: metrics && ((ms, committed) => metrics.auditCommit(ms, committed)),
  });
  const onEnd = endHeard(metrics, tracing, options.catalogue);
  const { catalogue, credentials, directory, servers } = options;
  const asking = catalogue && new Upstreams(directory, identityRoot);
  const watcher =
    catalogue && asking && new ToolWatcher({ catalogue, directory, upstreams: asking, servers, credentials, log });
  const held = catalogue && heldCheck(catalogue, watcher);
  const breakers = new Breakers({ onChange: circuitChanged(metrics, log) });
  const serverLimits = new ServerLimits(
    options.allowances ?? new OwnAllowances(() => performance.now()),
    metrics?.rateLimitRefusal && (() => metrics.rateLimitRefusal?.('mcp_server')),
  );
  // The breaker last: whom it lets in after a pause is the one that tries the server.
  const admission: ExecutorOptions['admission'] = [
    ...(held === undefined ? [] : [held]),
    ...(options.admission ?? []),
    ({ server, claims, tool }) => serverLimits.refusal(server, claims, tool),
    ({ server }) => breakers.refusal(server),
  ];
  const router = createMcpRouter({
    servers,
    externalUrl: identity.addresses.externalUrl,
    verifier: identity.verifier,
    directory,
    executor: new Executor({
      audit: tracing === undefined ? audit : tracing.audit(audit),
      callTimeoutMs: limits.call_timeout_ms,
      admission,
      policy,
      artifacts: options.artifacts,
      onEnd,
    }),
    catalogue,
    denied: policy && (({ route }, tool) => policy.denies(route.config, tool)),
    onDifference: watcher && ((server, user) => watcher.changed(server, user)),
    ownTools: watcher && ((server, claims) => watcher.own(server, claims)),
    identityRoot,
    delegation: new Delegation(identity.issuer, instanceAudience(identity.addresses.externalUrl)),
    log,
    tracing,
    breakers,
    serverLimits,
    database: options.database,
    apiInstance: options.apiInstance,
    peerSockets: options.peerSockets,
    approvals: options.approvals,
    credentials: options.credentials,
    rateLimiter: options.rateLimiter,
    proxies: options.proxies,
    limits: {
      bodyBytes: limits.body_bytes,
      callTimeoutMs: limits.call_timeout_ms,
      ...(limits.body_timeout_ms === undefined ? {} : { bodyTimeoutMs: limits.body_timeout_ms }),
      ...(limits.session_idle_s === undefined ? {} : { sessionIdleMs: limits.session_idle_s * 1000 }),
      ...(limits.quiet_ms === undefined ? {} : { quietMs: limits.quiet_ms }),
    },
  });
  return {
    router,
    circuitOf: (server) => breakers.stateOf(server),
    circuits: () => breakers.notClosed(),
    assertReady: () => audit.assertAvailable(),
    close: async (graceMs) => {
      await Promise.all([watcher?.close(), asking?.close()]);
      await router.close(graceMs);
      await audit.close();
    },
  };
}

/** Why a tool is held; under review the look that a call has to wait for comes first. */
function heldCheck(catalogue: ToolCatalogue, watcher: ToolWatcher | undefined) {
  return ({ server, tool, claims }: ToolCall) => {
    const refusal = () => catalogue.refusalOf(server.name, tool, claims.sub);
    const waiting = catalogue.ready(server.name, claims.sub);
    const look = () => watcher?.before(server.name, claims);
    if (waiting !== undefined) return waiting.then(look).then((failed) => failed ?? refusal());
    return look()?.then((failed) => failed ?? refusal()) ?? refusal();
  };
}

function circuitChanged(metrics: GatewayMetrics | undefined, log: Logger) {
  return (server: string, state: CircuitState) => {
    metrics?.circuit?.(server, state);
    const facts = { server, state };
    if (state === 'open') log.warn(facts, 'A server fails: nothing is sent to it for a while');
    else if (state === 'closed') log.info(facts, 'The server answers again');
  };
}

function endHeard(
  metrics: GatewayMetrics | undefined,
  tracing: RouterTracing | undefined,
  catalogue: ToolCatalogue | undefined,
): ExecutorOptions['onEnd'] {
  const known = ({ server, tool }: ToolCall) =>
    server.tools.has(tool) || catalogue?.find(server.name, tool) !== undefined;
  const measured: ExecutorOptions['onEnd'] =
    metrics &&
    ((call, outcome, reason) =>
      metrics.toolCall(
        call.server.name,
        known(call) ? call.tool : undefined,
        outcome,
        reason,
        performance.now() - call.arrivedAt,
      ));
  if (tracing === undefined) return measured;
  return (call, outcome, reason) => {
    tracing.ended(reason);
    measured?.(call, outcome, reason);
  };
}
