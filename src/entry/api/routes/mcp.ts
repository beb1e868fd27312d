import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import { problemSchema } from '../openapi.ts';
import { problemContentType, toAnswer, toProblem } from '../problem.ts';

const params = z.object({ server: z.string() });

/**
 * The way to the MCP servers. The router gets the request as it came, body unread, and answers it; what it throws
 * before it has answered becomes a problem document.
 */
export function mcpRoutes(deps: ApiDependencies): FastifyPluginAsync {
  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.route({
      method: ['GET', 'POST', 'DELETE'],
      url: '/api/v1/mcp/:server/mcp',
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
        const { raw } = reply;
        deps.mcp.handle(request.raw, raw, server).catch((thrown: unknown) => {
          const { error, status } = toAnswer(thrown);
          request.log.error({ err: thrown, code: error.code, server }, error.message);
          if (raw.headersSent || raw.destroyed) {
            raw.destroy();
            return;
          }
          raw.writeHead(status, { 'content-type': problemContentType });
          raw.end(JSON.stringify(toProblem(error, request.id, status)));
        });
      },
    });
  };
}
