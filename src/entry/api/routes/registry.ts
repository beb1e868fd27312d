import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { instanceAudience, resourceMetadataUrl } from '../../../lib/app/identity.ts';
import { authenticate, challengeFor } from '../../../lib/domain/auth/index.ts';
import { toAppError } from '../../../lib/shared/errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { problemSchema } from '../openapi.ts';

/** One MCP server as clients see it; `status` and what follows it for the signed-in only. */
const registryEntrySchema = z.object({
  name: z.string(),
  display_name: z.string(),
  description: z.string(),
  endpoint: z.url(),
  oauth: z.object({ required: z.boolean(), scopes: z.array(z.string()), resource_metadata: z.url() }),
  status: z.string().optional(),
  port: z.int().optional(),
  instance_id: z.string().optional(),
});

const registrySchema = z.object({ servers: z.array(registryEntrySchema) });

/** The list of MCP servers: names and addresses for everyone, how they are doing for the instance's users. */
export function registryRoutes(deps: ApiDependencies): FastifyPluginAsync {
  const audience = instanceAudience(deps.externalUrl);
  const resource = { audience, metadataUrl: resourceMetadataUrl(audience), scopes: ['user'] };
  return async (app) => {
    app.get(
      '/api/v1/mcp/registry',
      {
        config: { rateGroup: 'mcp_registry' },
        schema: {
          summary: 'The MCP servers of this instance',
          description:
            'Without a token: name, address and sign-in. With one for the instance: state, port and run as well.',
          security: [{}, { bearer: [] }],
          response: { 200: registrySchema, 401: problemSchema },
        },
      },
      async (request, reply) => {
        const signedIn = request.headers.authorization !== undefined;
        reply.header('cache-control', 'no-store');
        try {
          if (signedIn) await authenticate(deps.verifier, request.raw, audience);
        } catch (thrown) {
          const challenge = challengeFor(toAppError(thrown), resource);
          if (challenge !== undefined) reply.header('www-authenticate', challenge.header);
          throw thrown;
        }
        return { servers: deps.registry(signedIn) };
      },
    );
  };
}
