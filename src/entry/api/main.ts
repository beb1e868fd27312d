import { dirname } from 'node:path';
import { type ApiConfiguration, openApiContext, readApiConfiguration } from '../../lib/app/context.ts';
import { rateGroups } from '../../lib/app/rate-limits.ts';
import { withdrawKeys } from '../../lib/infra/config/master-key/variables.ts';
import { packageVersion } from '../../lib/infra/config/package-root.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { openProcessLog } from '../../lib/infra/process/own-log.ts';
import { tracerOf } from '../../lib/infra/telemetry/open-tracer.ts';
import { type ErrorCode, PreconditionError, toAppError } from '../../lib/shared/errors.ts';
import { untilAllHold } from './able.ts';
import { Certificate } from './certificate.ts';
import type { ApiDependencies } from './dependencies.ts';
import { HttpEndpoint } from './listen.ts';
import { oauthHandler } from './oauth-door.ts';
import { oauthPages } from './pages/oauth.ts';
import { createApi, requestHandler } from './server.ts';
import type { Telemetry } from './telemetry.ts';

// One API process, started by the supervisor: SYSTEMPROMPT_ROOT and SYSTEMPROMPT_PROFILE say of what,
// SYSTEMPROMPT_SERVICE_INSTANCE which run of it this is.

/** sysexits.h EX_CONFIG: the supervisor does not try again until something was changed. */
const configurationExitCode = 78;
const configurationErrors: ReadonlySet<ErrorCode> = new Set(['CONFIG_INVALID', 'PRECONDITION', 'USAGE', 'NOT_FOUND']);
const instanceForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** How long running requests get to end by themselves, and then once they are told to, in ms; the supervisor's grace is 10 s. */
const drainMs = 6000;
const endMs = 1500;
/** How long a first process waits for what it needs before it listens all the same and says that it is not ready, in ms. */
const ableMs = 5000;

async function main(log: Logger): Promise<void> {
  const instanceId = process.env.SYSTEMPROMPT_SERVICE_INSTANCE ?? '';
  if (!instanceForm.test(instanceId)) {
    throw new PreconditionError('SYSTEMPROMPT_SERVICE_INSTANCE is not set: the supervisor starts this process', {
      next: ['infra services start'],
    });
  }
  const configuration = await readApiConfiguration(process.cwd(), process.env);
  withdrawKeys(process.env);
  const { profile } = configuration;
  const probeSocket = process.env.SYSTEMPROMPT_PROBE_SOCKET;
  const telemetry = await openTelemetryOf(configuration, instanceId, probeSocket);
  const service = process.env.SYSTEMPROMPT_SERVICE ?? 'api';
  const tracer = await tracerOf({ service, instanceId, version: packageVersion(), log, env: process.env });
  const context = await openApiContext(
    configuration,
    instanceId,
    log,
    oauthPages,
    telemetry?.metrics,
    probeSocket && dirname(probeSocket),
    tracer,
  );
  let endpoint: HttpEndpoint | undefined;
  const deps: ApiDependencies = {
    instanceId,
    version: packageVersion(),
    externalUrl: profile.server.external_url,
    issuer: profile.security.issuer,
    web: {
      corsAllowedOrigins: profile.server.cors_allowed_origins,
      otherAddresses: profile.security.audiences,
      securityHeaders: profile.server.security_headers,
    },
    rateLimiter: context.rateLimiter,
    telemetry,
    logger: log,
    verifier: context.identity.verifier,
    resources: context.resources,
    circuits: () => context.circuits(),
    registry: (reader) => context.registry(reader),
    mcp: context.router,
    oauth: oauthHandler(context.authorization, oauthPages),
    people: context.people,
    account: context.account,
    serviceEvents: context.serviceEvents,
    readiness: context.readiness,
    draining: () => endpoint?.draining ?? false,
  };
  const app = await createApi(deps);
  const missing = await untilAllHold(context.readiness, ableMs);
  for (const [check, err] of missing) log.warn({ err, check }, 'Not ready');
  // One that is to take the place of another has no use while it can't: the supervisor gives it up in its time.
  const successor = process.env.SYSTEMPROMPT_SUCCESSOR === 'yes';
  if (successor && missing.length > 0) await untilAllHold(context.readiness, Number.POSITIVE_INFINITY);
  // The supervisor says so: it looks after who else listens there.
  const shared = process.env.SYSTEMPROMPT_SHARED_PORT === 'yes';
  // Before the port that counts: who can't have this one must not be given requests.
  const scrapes = await telemetry?.listen(profile.telemetry.metrics_port, {
    shared,
    installationId: configuration.instance.id,
    log,
  });
  const certificate = await Certificate.open(profile.server.https, log);
  const { host, port } = profile.server;
  const handler = requestHandler(app, deps);
  const listening = await HttpEndpoint.listen(handler, {
    host,
    port,
    ...(certificate === undefined ? {} : { tls: certificate.pair }),
    shared,
    ...(probeSocket === undefined ? {} : { probeSocket, probeHandler: telemetry?.onSocket(handler, log) }),
  });
  endpoint = listening;
  certificate?.follow((pair) => listening.renew(pair));
  log.info({ host, port: listening.port, url: profile.server.external_url }, 'Listening');

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (listening.draining) return;
    log.info({ signal, connections: listening.connections }, 'Stopping');
    // Streams and calls that last are told to end when the others had their time.
    void context.serviceEvents.close().catch(fault(log)); // whoever listens can go on elsewhere where it left off
    const ending = setTimeout(() => void context.router.close(endMs / 2).catch(fault(log)), drainMs);
    const [cut] = await Promise.all([
      listening.drain({ deadlineMs: drainMs + endMs }),
      scrapes?.drain({ deadlineMs: drainMs + endMs }),
    ]);
    clearTimeout(ending);
    certificate?.close();
    await app.close();
    await context.close();
    telemetry?.metrics.close();
    await tracer?.close();
    log.info({ cut }, 'Stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal).catch(fault(log)));
}

/** Nothing of it is loaded where the profile says `off`. */
async function openTelemetryOf(
  { profile, servers }: ApiConfiguration,
  instanceId: string,
  probeSocket: string | undefined,
): Promise<Telemetry | undefined> {
  if (profile.telemetry.metrics === 'off') return undefined;
  const { openTelemetry } = await import('./telemetry.ts');
  const service = process.env.SYSTEMPROMPT_SERVICE ?? 'api';
  const names = servers.filter((server) => server.enabled).map((server) => server.name);
  const groups = profile.rate_limits.enabled ? rateGroups : [];
  return openTelemetry(
    { instanceId, service, version: packageVersion(), servers: names, rateGroups: groups },
    probeSocket,
  );
}

/** A fault leaves a state that nobody knows: the supervisor starts a fresh process. */
function fault(log: Logger): (error: unknown) => never {
  return (error) => {
    log.fatal({ err: error }, 'Ended by a fault');
    process.exit(1);
  };
}

const { logger: log } = openProcessLog('api');
process.on('uncaughtException', fault(log));
process.on('unhandledRejection', fault(log));
main(log).catch((thrown: unknown) => {
  const error = toAppError(thrown);
  log.fatal({ err: thrown, code: error.code, hint: error.hint }, error.message);
  process.exit(configurationErrors.has(error.code) ? configurationExitCode : 1);
});
