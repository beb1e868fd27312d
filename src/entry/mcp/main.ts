import { once } from 'node:events';
import { CliRunner } from '../../lib/app/cli-runner.ts';
import { maxBodyBytes } from '../../lib/app/server-door.ts';
import { configurationExitCode, StartRefusedError } from '../../lib/app/server-environment.ts';
import { packageRoot, packageVersion } from '../../lib/infra/config/package-root.ts';
import { GracefulServers } from '../../lib/infra/http/graceful-servers.ts';
import { openProcessLog, type ProcessLog } from '../../lib/infra/process/own-log.ts';
import { Vitals } from '../../lib/infra/process/vitals.ts';
import { tracerOf } from '../../lib/infra/telemetry/open-tracer.ts';
import { RunningCalls } from './calls.ts';
import { OwnDatabase } from './database.ts';
import { type McpEnvironment, readEnvironment } from './env.ts';
import { loadServer } from './extension.ts';
import { createHttpServer } from './http.ts';
import { createProtocolHandler } from './protocol.ts';
import { readinessOf } from './ready.ts';
import { tracedDatabase } from './tracing.ts';
import { declaredVariables } from './variables.ts';

/** After SIGTERM: how long calls may go on, how long they get to end once they are told to, and for answers to leave, in ms. */
const drainMs = 6_000;
const endMs = 3_000;
const flushMs = 500;

/** The process of one MCP server: reads its environment, loads the extension, serves it, and stops when it is told to. */
async function main(): Promise<void> {
  const log = openProcessLog('mcp');
  const { logger } = log;
  const die = (error: unknown): never => {
    logger.fatal({ err: error }, 'ended by a fault');
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  try {
    const environment = readEnvironment(process.env);
    // What the extension's code and the processes that it starts have no business with.
    delete process.env['SYSTEMPROMPT_IDENTITY_KEY'];
    await serve(environment, log);
  } catch (error) {
    if (!(error instanceof StartRefusedError)) return die(error);
    logger.fatal(error.message);
    process.exit(configurationExitCode);
  }
}

async function serve(environment: McpEnvironment, { logger, secrets }: ProcessLog): Promise<void> {
  const definition = await loadServer(environment.extension);
  const calls = new RunningCalls();
  const cli = new CliRunner({ packageRoot: packageRoot(), cwd: environment.root, env: process.env });
  const { name, databaseUrl } = environment;
  const { instanceId } = environment;
  const version = packageVersion();
  const tracer = await tracerOf({ service: `mcp:${name}`, instanceId, version, log: logger, env: process.env });
  const opened = new OwnDatabase(databaseUrl, name);
  const database = tracer === undefined ? opened : tracedDatabase(opened, tracer);
  const variables = declaredVariables(environment.variables, process.env, name);
  const own = { database, variables, maxBodyBytes, tracer };
  const handler = createProtocolHandler({ definition, environment, calls, cli, logger, secrets, ...own });
  let stopping = false;
  const server = createHttpServer({
    environment,
    handler,
    logger,
    maxBodyBytes,
    version: definition.version,
    tools: definition.tools.length,
    hooks: definition.hooks,
    vitals: new Vitals(),
    readiness: readinessOf(definition, environment, logger),
    stopping: () => stopping,
  });
  const servers = new GracefulServers();
  servers.add(server);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal, calls: calls.size }, 'stopping');
    // Requests on their way are still served: whoever sent them may not know yet that another process takes over.
    const closed = servers.drain({ deadlineMs: drainMs + endMs });
    const until = performance.now() + drainMs;
    do {
      await calls.drain(Math.max(0, until - performance.now()), endMs);
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, flushMs))]);
    } while (calls.size > 0 && performance.now() < until);
    // What is still open now are subscriptions and idle connections.
    await handler.close();
    await Promise.race([opened.close(), new Promise((resolve) => setTimeout(resolve, flushMs))]);
    await tracer?.close();
    logger.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  server.listen(environment.port, '127.0.0.1');
  await once(server, 'listening');
  logger.info({ port: environment.port, tools: definition.tools.length }, 'listening');
}

await main();
