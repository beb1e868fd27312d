import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { childEnvironment } from '../../lib/app/bridge/child-environment.ts';
import { translate } from '../../lib/app/bridge/eras/translate.ts';
import { makeFactory } from '../../lib/app/bridge/factory.ts';
import { createFront } from '../../lib/app/bridge/front.ts';
import { BridgeService } from '../../lib/app/bridge/service.ts';
import { tracedFactory } from '../../lib/app/bridge/tracing.ts';
import { maxBodyBytes } from '../../lib/app/server-door.ts';
import { configurationExitCode, StartRefusedError } from '../../lib/app/server-environment.ts';
import { packageVersion } from '../../lib/infra/config/package-root.ts';
import { GracefulServers } from '../../lib/infra/http/graceful-servers.ts';
import { openProcessLog, type ProcessLog } from '../../lib/infra/process/own-log.ts';
import { ReadinessCheck } from '../../lib/infra/process/readiness.ts';
import { Vitals } from '../../lib/infra/process/vitals.ts';
import { signIdentity } from '../../lib/infra/security/identity-header.ts';
import { tracerOf } from '../../lib/infra/telemetry/open-tracer.ts';
import type { SessionId, UserId } from '../../lib/shared/ids.ts';
import { type BridgeEnvironment, readEnvironment } from './env.ts';

/** After SIGTERM: how long answers may be waited for, in ms. The programs get a moment more, see makeFactory. */
const drainMs = 5_000;
const instanceLimit = 200;
const sessionLimit = 50_000;
/** One user can't take the room of all others. */
const instancesPerUser = instanceLimit / 4;
const sessionsPerUser = sessionLimit / 5;
const sessionIdleMs = 3_600_000;
const keepAliveMs = 30_000;
/** The supervisor waits 2 s for an answer. */
const readiness = { boundMs: 1_000, holdMs: 500 };
const identitySeconds = 60;

/** The process that stands between the router and a server which is none of our own modules. */
async function main(): Promise<void> {
  const log = openProcessLog('bridge');
  const { logger } = log;
  const die = (error: unknown): never => {
    logger.fatal({ err: error }, 'ended by a fault');
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  try {
    const environment = readEnvironment(process.env);
    await serve(environment, log);
  } catch (error) {
    if (!(error instanceof StartRefusedError)) return die(error);
    logger.fatal(error.message);
    process.exit(configurationExitCode);
  }
}

async function serve(environment: BridgeEnvironment, { logger, secrets }: ProcessLog): Promise<void> {
  const { settings, instanceId } = environment;
  const identityKey = createSecretKey(environment.identityKey);
  const contract = ['MCP_SERVICE_ID', 'DATABASE_URL', 'SYSTEMPROMPT_IDENTITY_KEY', 'SYSTEMPROMPT_ENVIRONMENT'];
  const own = settings.kind === 'http' ? [...settings.variables, ...contract] : settings.variables;
  const making = await makeFactory({
    settings,
    childEnv: childEnvironment(process.env, own),
    version: packageVersion(),
    maxMessageBytes: maxBodyBytes,
    ownIdentity: () => ownIdentity(environment, identityKey),
    logger,
    secrets,
  });
  const { resident } = making;
  const tracer = await tracerOf({
    service: `mcp:${environment.name}`,
    instanceId,
    version: packageVersion(),
    log: logger,
    env: process.env,
  });
  const transport = settings.kind === 'stdio' ? 'pipe' : 'tcp';
  const service = new BridgeService({
    ...making,
    ...(tracer === undefined ? {} : { factory: tracedFactory(making.factory, tracer, transport) }),
    translate,
    instanceLimit,
    sessionLimit,
    instancesPerUser,
    sessionsPerUser,
    sessionIdleMs,
    keepAliveMs,
    logger,
    onEnd: () => {
      // The supervisor starts both anew, and says how often it had to.
      if (resident !== undefined && !stopping) process.exit(1);
    },
  });
  const check =
    resident === undefined
      ? undefined
      : new ReadinessCheck(
          (signal) => resident.look(signal),
          readiness,
          (error) => {
            logger.warn({ err: error }, 'the look at readiness failed');
          },
        );
  let stopping = false;
  const server = createFront({
    key: { identityKey, instanceId },
    service,
    logger,
    vitals: new Vitals(),
    tracer,
    readiness: async () => (stopping ? { ready: false, reason: 'it is stopping' } : await check?.current()),
  });
  const servers = new GracefulServers();
  servers.add(server);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal, instances: service.pool.size, sessions: service.sessions.size }, 'stopping');
    // What only listens would last for ever; whoever waits for an answer still gets it.
    service.stopListening();
    await servers.drain({ deadlineMs: drainMs });
    await service.close();
    await tracer?.close();
    logger.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (resident !== undefined) await service.pool.acquire({ kind: 'shared' }, {});
  server.listen(environment.port, '127.0.0.1');
  await once(server, 'listening');
  logger.info({ port: environment.port, kind: settings.kind }, 'listening');
}

/** For what the bridge itself asks a server that lets nobody in without an identity. */
function ownIdentity({ instanceId }: BridgeEnvironment, key: Parameters<typeof signIdentity>[0]): string {
  const iat = Math.floor(Date.now() / 1000);
  return signIdentity(key, {
    aud: instanceId,
    sub: 'system' as UserId,
    name: 'system',
    sid: 'bridge' as SessionId,
    scopes: [],
    iat,
    exp: iat + identitySeconds,
  });
}

await main();
