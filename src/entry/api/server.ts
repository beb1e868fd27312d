import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from '@fastify/helmet';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { NotFoundError } from '../../lib/shared/errors.ts';
import type { ApiDependencies } from './dependencies.ts';
import { createGate } from './gate.ts';
import { createMcpDoor, requestIdOf } from './mcp-door.ts';
import { measureRoutes } from './measure.ts';
import { createOAuthDoor } from './oauth-door.ts';
import { installOpenApi, validateWithZod } from './openapi.ts';
import { assetRoutes } from './pages/assets.ts';
import { plainErrorPage } from './pages/error.ts';
import { page } from './pages/layout.ts';
import { opensPages } from './pages/session.ts';
import { problemContentType, titleOf, toAnswer, toProblem } from './problem.ts';
import { countRequests } from './rate-limit.ts';
import { accountRoutes } from './routes/account.ts';
import { connectionRoutes } from './routes/connections.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { healthRoutes } from './routes/health.ts';
import { interactionRoutes } from './routes/interaction.ts';
import { mcpRoutes } from './routes/mcp.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { passkeyRoutes } from './routes/passkeys.ts';
import { registryRoutes } from './routes/registry.ts';
import { serviceRoutes } from './routes/services.ts';
import { signInRoutes } from './routes/sign-in.ts';

/** Bodies of our own JSON routes; MCP messages have their own limit, in the router. */
const bodyLimitBytes = 64 * 1024;
/** Asked by their address by whoever watches the process, from wherever that is; they tell nothing. */
const probes = new Set(['/healthz', '/readyz']);

/**
 * The handler for a node:http server: MCP goes straight to the router, what the authorization server answers to it, and
 * everything else through the framework.
 */
export function requestHandler(
  app: FastifyInstance,
  deps: ApiDependencies,
): (request: IncomingMessage, response: ServerResponse) => void {
  const door = createMcpDoor(deps);
  const oauth = createOAuthDoor(deps);
  const meter = deps.telemetry?.meter;
  if (meter === undefined) {
    return (request, response) => {
      if (!door(request, response) && !oauth(request, response)) app.routing(request, response);
    };
  }
  return (request, response) => {
    meter.begin(request, response);
    if (door(request, response)) meter.group(request, 'mcp');
    else if (oauth(request, response)) meter.group(request, 'oauth');
    else app.routing(request, response);
  };
}

/** The API's routes, not yet listening; `requestHandler` puts them behind a node:http server. */
export async function createApi(deps: ApiDependencies): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: deps.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    genReqId: requestIdOf,
    routerOptions: { maxParamLength: 100 },
    // Answers go on while draining: `Connection: close` sends clients elsewhere, 503 would lose their request.
    return503OnClosing: false,
    frameworkErrors: (thrown, request, reply) => sendProblem(thrown, request, reply as FastifyReply),
  });
  const gate = createGate(deps);

  measureRoutes(app, deps.telemetry?.meter);
  // On the raw answer, so that those of the MCP router carry it too.
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.setHeader('x-request-id', request.id);
    request.raw.headers['x-request-id'] = request.id;
    for (const [name, value] of Object.entries(gate.headers(request.raw))) reply.raw.setHeader(name, value);
  });
  // Those of its headers that the profile has no say in: the others are the gate's.
  if (deps.web.securityHeaders.enabled) {
    await app.register(helmet, {
      contentSecurityPolicy: false,
      strictTransportSecurity: false,
      referrerPolicy: false,
      xFrameOptions: false,
      xContentTypeOptions: false,
    });
  }
  app.addHook('onRequest', async (request, reply) => {
    if (probes.has(request.routeOptions.url ?? '')) return;
    const refusal = gate.refusal(request.raw);
    if (refusal !== undefined) {
      sendProblem(refusal.error, request, reply, refusal.status);
      return reply;
    }
    const preflight = gate.preflight(request.raw);
    if (preflight === undefined) return;
    return reply.code(204).headers(preflight).send();
  });
  countRequests(app, deps);

  app.setValidatorCompiler(validateWithZod);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((thrown, request, reply) => sendProblem(thrown, request, reply));
  app.setNotFoundHandler(async (request, reply) => {
    if (opensPages(request)) {
      return page(reply, plainErrorPage({ status: 404, title: titleOf('NOT_FOUND'), hint: 'Compare the address.' }));
    }
    throw new NotFoundError('There is nothing at this address', {
      hint: 'What there is stands in /api/v1/openapi.json.',
    });
  });

  await installOpenApi(app, deps);
  await app.register(healthRoutes(deps));
  await app.register(discoveryRoutes(deps));
  await app.register(registryRoutes(deps));
  await app.register(serviceRoutes(deps));
  await app.register(metricsRoutes(deps));
  await app.register(mcpRoutes(deps));
  await app.register(assetRoutes);
  if (deps.oauth !== undefined) await app.register(interactionRoutes(deps.oauth));
  if (deps.people !== undefined) {
    const signIn = { ...deps, people: deps.people };
    await app.register(signInRoutes(signIn));
    await app.register(passkeyRoutes(signIn));
    if (deps.account !== undefined) {
      const own = {
        ...deps,
        account: deps.account,
        browser: deps.people.sessions,
        addressOf: deps.people.addressOf,
      };
      await app.register(accountRoutes(own));
      await app.register(connectionRoutes(own));
    }
  }
  await app.ready();
  return app;
}

function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply, status?: number): void {
  const answer = toAnswer(thrown);
  const code = status ?? answer.status;
  if (code >= 500) request.log.error({ err: thrown, code: answer.error.code }, answer.error.message);
  reply
    .code(code)
    .type(problemContentType)
    .send(JSON.stringify(toProblem(answer.error, request.id, code)));
}
