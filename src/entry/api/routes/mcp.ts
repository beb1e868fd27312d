import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import { handleMcp, refuseMethod } from '../mcp-door.ts';
import { mcpMethods } from '../mcp-methods.ts';
import { problemSchema } from '../openapi.ts';

const url = '/api/v1/mcp/:server/mcp';
/** HTTP with SSE, as clients of MCP 2024-11-05 speak it. */
const legacyWays = [
  { way: 'sse', method: 'GET', summary: 'An MCP server (HTTP with SSE): opens a stream' },
  { way: 'messages', method: 'POST', summary: 'An MCP server (HTTP with SSE): takes a message' },
] as const;

const params = z.object({ server: z.string() });

/**
 * The way to the MCP servers. Requests of the usual form never get here: `createMcpDoor` takes
 * them first. This is for the rest, and for the document that describes the API.
 */
export function mcpRoutes(deps: ApiDependencies): FastifyPluginAsync {
  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.route({
      method: mcpMethods,
      url,
      // The router counts.
      config: { rateGroup: 'none', metricsGroup: 'mcp' },
      // HEAD would be GET to the router.
      exposeHeadRoute: false,
      schema: {
        summary: 'An MCP server (Streamable HTTP)',
        description: 'Speaks the Model Context Protocol; the token must be for this very address.',
        security: [{ bearer: [] }],
        params,
        response: { 401: problemSchema, 403: problemSchema, 404: problemSchema },
      },
      handler: (request, reply) => {
        const { server } = params.parse(request.params);
        reply.hijack();
        void handleMcp(deps, { request: request.raw, response: reply.raw, server, id: request.id, headers: {} });
      },
    });
    for (const { way, method, summary } of legacyWays) {
      app.route({
        method,
        url: url.replace(/mcp$/, way),
        config: { rateGroup: 'none', metricsGroup: 'mcp' },
        exposeHeadRoute: false,
        schema: {
          summary,
          description: 'For clients of MCP 2024-11-05; the token is the one for Streamable HTTP.',
          security: [{ bearer: [] }],
          params,
          response: { 401: problemSchema, 403: problemSchema, 404: problemSchema },
        },
        handler: (request, reply) => {
          const { server } = params.parse(request.params);
          reply.hijack();
          void handleMcp(deps, { request: request.raw, response: reply.raw, server, way, id: request.id, headers: {} });
        },
      });
    }
    app.route({
      method: app.supportedMethods.filter((method) => !mcpMethods.includes(method)),
      url,
      config: { metricsGroup: 'mcp' },
      schema: { hide: true },
      handler: (request, reply) => {
        reply.hijack();
        refuseMethod({ response: reply.raw, id: request.id, headers: {} });
      },
    });
  };
}
