import { hasProcess, listsByUser, type McpServerConfig, type ToolHook } from '../domain/mcp/index.ts';
import { activeProfile } from '../infra/config/active-profile.ts';
import { requireInstance } from '../infra/config/instance.ts';
import { packageRoot } from '../infra/config/package-root.ts';
import { loadProfile, type Profile } from '../infra/config/profile.ts';
import { openSecretStore } from '../infra/config/secrets.ts';
import { openDatabase } from '../infra/database/connection.ts';
import { connectionFor } from '../infra/database/connections.ts';
import { createGuardedFetch } from '../infra/http/guarded-fetch.ts';
import type { Logger } from '../infra/logging/logger.ts';
import type { Circuits } from '../infra/process/spec.ts';
import type { ApiMetrics } from '../infra/telemetry/api-metrics.ts';
import { DatabaseUnavailableError, PreconditionError } from '../shared/errors.ts';
import type { UserId } from '../shared/ids.ts';
import type { Tracer } from '../shared/tracing.ts';
import { DatabaseEntitlements } from './access/entitlements.ts';
import { ForeignSubjects } from './access/foreign-subjects.ts';
import { KeptArtifacts } from './artifacts/keeper.ts';
import { openSealer } from './audit/open-sealer.ts';
import { ToolCatalogue } from './catalogue/catalogue.ts';
import { toolsListed } from './catalogue/listed.ts';
import { unlistedTools } from './config/declared-tools.ts';
import { loadServices } from './config/load-services.ts';
import type { ServicesConfiguration } from './config/types.ts';
import { fleetFacts } from './fleet/facts.ts';
import { fleetLatencies } from './fleet/latencies.ts';
import { type Identity, openIdentity } from './identity.ts';
import { ServerLogs } from './logs/keeper.ts';
import { type Authorization, openAuthorization } from './oauth/open.ts';
import type { OAuthPages } from './oauth/pages.ts';
import { openAccount } from './open-account.ts';
import type { Account } from './people/account.ts';
import { openPeople, type People } from './people/open.ts';
import { openToolPolicy } from './policy/open.ts';
import { openRateLimiter } from './rate-limit/open.ts';
import type { RateLimiter } from './rate-limits.ts';
import { type ResourceServers, resourceServers } from './resources.ts';
import { openMcpGateway } from './router/open.ts';
import { type RegistryServer, registryView } from './router/registry-view.ts';
import type { McpRouter } from './router/router.ts';
import { ServiceDirectory } from './supervisor/directory.ts';
import { ServiceEventFeed } from './supervisor/event-feed.ts';
import { openTrustedProxies } from './trusted-proxies.ts';
import { UpstreamCredentials } from './upstream/credentials.ts';
import { OAuthServers } from './upstream/oauth/servers.ts';

const connectTimeoutMs = 5000;

/** Everything that an API process is made of, wired once. */
export interface ApiContext {
  readonly identity: Identity;
  readonly authorization: Authorization;
  readonly people: People;
  readonly resources: ResourceServers;
  readonly account: Account;
  readonly servers: readonly McpServerConfig[];
  readonly router: McpRouter;
  /** Absent when the profile has requests not counted. */
  readonly rateLimiter: RateLimiter | undefined;
  readonly serviceEvents: ServiceEventFeed;
  registry(reader: UserId | undefined): Promise<RegistryServer[]>;
  /** The MCP servers whose circuit breaker is not closed in this process. */
  circuits(): Circuits;
  /** What must hold before requests are taken; each throws when it does not. */
  readonly readiness: Readonly<Record<string, () => void | Promise<void>>>;
  /** Ends what the router still runs, then everything else, in reverse order. */
  close(): Promise<void>;
}

/** What the configuration on disk says, before anything is opened. */
export interface ApiConfiguration {
  readonly instance: Awaited<ReturnType<typeof requireInstance>>;
  readonly profile: Profile;
  readonly secrets: Awaited<ReturnType<typeof openSecretStore>>;
  readonly servers: readonly McpServerConfig[];
  /** Rules and hooks for the calls of all servers. */
  readonly toolHooks: readonly ToolHook[];
  /** What names tools of servers, with the places. */
  readonly services: Pick<ServicesConfiguration, 'mcpServers' | 'agents' | 'originOf'>;
  /** How long artifacts are kept, in days; 0: not at all. */
  readonly artifactDays: number;
  /** Whether this process is the one that copies the lines of servers into the database. */
  readonly ownLogs?: boolean;
}

/**
 * Reads the configuration of the instance that the environment names.
 * @throws ConfigInvalidError, PreconditionError, UsageError or NotFoundError when it does not hold
 */
export async function readApiConfiguration(cwd: string, env: NodeJS.ProcessEnv): Promise<ApiConfiguration> {
  const instance = await requireInstance(cwd, env);
  const mark = env['SYSTEMPROMPT_INSTANCE'];
  if (mark !== undefined && mark !== instance.id) {
    throw new PreconditionError('The profile names another tenant than the one that this process was started for.', {
      hint: 'Stop the system before the tenant of its profile is changed.',
      next: ['infra services status'],
    });
  }
  const profile = await loadProfile(instance, activeProfile(instance, { cwd, env }).name, env);
  const services = await loadServices(instance, { profile });
  const { mcpServers: servers, settings } = services;
  return {
    instance,
    profile,
    servers,
    services,
    // A supervisor's first API process; `api:2` and the like leave it to that one.
    ownLogs: env['SYSTEMPROMPT_SERVICE'] === 'api',
    toolHooks: settings.tool_hooks,
    artifactDays: settings.tool_artifacts_days,
    secrets: await openSecretStore(instance, env),
  };
}

/**
 * Opens what an API process stands on, in the order in which it stands on each other.
 * @param apiInstance this run of the process: its audit rows carry the id
 * @param pages what the authorization server shows people
 * @param metrics hears what is measured; nothing is when it is absent
 * @param peerSockets folder with the sockets of the API processes, by which they reach each other
 * @param tracer makes spans of requests; none are made when it is absent
 * @throws DatabaseUnavailableError
 */
export async function openApiContext(
  configuration: ApiConfiguration,
  apiInstance: string,
  log: Logger,
  pages: OAuthPages,
  metrics?: ApiMetrics,
  peerSockets?: string,
  tracer?: Tracer,
): Promise<ApiContext> {
  const { instance, profile, secrets, servers } = configuration;
  const { ownLogs = false } = configuration;
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    while (closers.length > 0) await closers.pop()?.();
  };
  try {
    const [app, audit, sealer] = await Promise.all([
      connectionFor(instance, profile, secrets, 'app'),
      connectionFor(instance, profile, secrets, 'audit'),
      connectionFor(instance, profile, secrets, 'sealer'),
    ]);
    const database = openDatabase(app, { applicationName: 'systemprompt api', connectTimeoutMs, actor: 'system' });
    closers.push(() => database.close());
    metrics?.watchPool(() => database.usage);
    database.onError((error) => log.warn({ err: error }, 'A connection to the database was lost'));

    const rateLimiter = openRateLimiter(profile, database, log, metrics);
    closers.push(async () => rateLimiter.close());

    const resources = resourceServers(servers, {
      externalUrl: profile.server.external_url,
      maxTtlSeconds: profile.security.access_token_ttl_seconds,
    });
    const entitlements = new DatabaseEntitlements(database);
    const foreign = new ForeignSubjects({ database, entitlements, resources, fetch: createGuardedFetch() });
    const identity = await openIdentity({ database, secrets, profile, resources, foreign });
    closers.push(() => identity.close());
    const authorization = await openAuthorization({ database, secrets, identity, servers, profile, pages, log });
    closers.push(() => authorization.close());
    const people = await openPeople({ database, instance, profile, secrets, log });
    closers.push(() => people.close());
    const directory = await ServiceDirectory.open(database, instance.id);
    closers.push(() => directory.close());

    const days = profile.logging.database_days;
    // One process copies for all; what two of them copy while one takes the place of the other is kept once.
    if (days > 0 && ownLogs) {
      const named = servers.filter((server) => server.enabled && hasProcess(server)).map(({ name }) => name);
      const { logsDir } = instance;
      const logs = new ServerLogs({ database, logsDir, servers: named, directory, days, log });
      closers.push(() => logs.close());
    }

    const serviceEvents = new ServiceEventFeed(database, instance.id);
    closers.push(() => serviceEvents.close());

    const externalUrl = profile.server.external_url;
    const oauth = new OAuthServers({ servers, secrets, externalUrl });
    const credentials = await UpstreamCredentials.open({ servers, database, secrets, externalUrl, oauth });
    closers.push(() => credentials.close());
    const artifacts = new KeptArtifacts({ database, days: configuration.artifactDays, secrets, credentials, log });
    closers.push(() => artifacts.close());
    const policy = await openToolPolicy({ configuration, database, directory, log });
    closers.push(() => policy.close());
    const catalogue = await ToolCatalogue.open({ database, servers, log });
    closers.push(() => catalogue.close());
    const { listed } = await toolsListed(database, (server) => directory.endpoint(`mcp:${server}`)?.instanceId);
    for (const { file, line, column, message, hint } of unlistedTools(
      configuration.services,
      [instance.root, packageRoot()],
      listed,
    )) {
      log.warn({ at: `${file}:${line}:${column}`, hint }, message);
    }
    // Before the gateway, so that it ends after it and seals what that wrote last.
    const retentionDays = profile.audit.retention_days;
    const sealing = openSealer({ secrets, connection: sealer, retentionDays, log });
    closers.push(() => sealing.close());

    const gateway = openMcpGateway({
      servers,
      identity,
      directory,
      catalogue,
      audit,
      identityRoot: await secrets.require('identity.root'),
      apiInstance,
      peerSockets,
      limits: profile.limits,
      database,
      allowances: rateLimiter.allowances,
      rateLimiter: rateLimiter.limiter,
      proxies: await openTrustedProxies(configuration, database, identity),
      policy: policy.policy,
      approvals: policy.approvals,
      credentials,
      artifacts,
      log,
      metrics,
      tracer,
    });
    closers.push(() => gateway.close(0));
    return {
      identity,
      authorization,
      people,
      resources,
      account: openAccount({
        database,
        identity,
        people,
        authorization,
        servers,
        oauth,
        sealer: secrets,
        maxTokenDays: profile.security.personal_access_tokens.max_days,
      }),
      servers,
      router: gateway.router,
      rateLimiter: rateLimiter.limiter,
      serviceEvents,
      circuits: () => gateway.circuits(),
      registry: async (reader) => {
        const { circuitOf } = gateway;
        const source = { servers, externalUrl: profile.server.external_url, directory, circuitOf };
        if (reader === undefined) return registryView(source, false);
        const own = { servers: servers.filter(listsByUser).map(({ name }) => name), userId: reader };
        const known = await Promise.all([
          fleetFacts(database, instance.id, own),
          fleetLatencies(servers, directory),
        ]).catch((error: unknown) => {
          // Where they are is known without the database, which the readiness tells of.
          if (error instanceof DatabaseUnavailableError) return undefined;
          throw error;
        });
        return registryView(known === undefined ? source : { ...source, facts: known[0], latencies: known[1] }, true);
      },
      readiness: {
        database: async () => {
          await database.query('SELECT 1');
        },
        keys: () => {
          identity.verifier.assertFresh();
          if (identity.verifier.jwks.keys.length === 0) throw new PreconditionError('There is no signing key');
        },
        audit: () => gateway.assertReady(),
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
