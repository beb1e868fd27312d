import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { serverJson } from '../../../lib/app/fleet/server-json.ts';
import { instanceAudience, resourceMetadataUrl, unknownServer } from '../../../lib/app/identity.ts';
import { authenticate, challengeFor } from '../../../lib/domain/auth/index.ts';
import { toAppError } from '../../../lib/shared/errors.ts';
import type { UserId } from '../../../lib/shared/ids.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { problemSchema } from '../openapi.ts';

const toolSchema = z.object({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  state: z.enum(['approved', 'held']),
  scopes: z.array(z.string()),
});

const variableSchema = z.object({
  name: z.string(),
  required: z.boolean(),
  secret: z.boolean(),
  from: z.enum(['instance', 'user']),
});

const healthSchema = z.object({
  serving: z.boolean(),
  failures_in_a_row: z.int(),
  restarts: z.int(),
  latency_ms: z.number().optional(),
  reason: z.string().optional(),
  last_error: z.string().optional(),
});

/** One MCP server as clients see it; `status` and what follows it for the signed-in only. */
const registryEntrySchema = z.object({
  name: z.string(),
  display_name: z.string(),
  description: z.string(),
  kind: z.enum(['internal', 'stdio', 'external', 'virtual']),
  endpoint: z.url(),
  oauth: z.object({ required: z.boolean(), scopes: z.array(z.string()), resource_metadata: z.url() }),
  server_json: z.url(),
  status: z.string().optional(),
  port: z.int().optional(),
  instance_id: z.string().optional(),
  pid: z.int().optional(),
  started_at: z.string().optional(),
  uptime_s: z.int().optional(),
  health: healthSchema.optional(),
  circuit: z.enum(['closed', 'half_open', 'open']).optional(),
  dev_only: z.boolean().optional(),
  tool_policy: z.enum(['auto', 'review']).optional(),
  targets: z.array(z.string()).optional(),
  schemas: z.object({ mode: z.string(), tables: z.array(z.string()) }).optional(),
  variables: z.array(variableSchema).optional(),
  tools: z.array(toolSchema).optional(),
  tool_count: z.int().optional(),
  held_tools: z.array(z.string()).optional(),
});

/** An entry in the form of the public MCP registry. */
const serverJsonSchema = z.object({
  $schema: z.url(),
  name: z.string(),
  title: z.string(),
  description: z.string(),
  version: z.string(),
  websiteUrl: z.url(),
  remotes: z.array(z.object({ type: z.enum(['streamable-http', 'sse']), url: z.url() })),
});

const serverParams = z.object({ server: z.string() });

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
            'Without a token: name, kind, address and sign-in of those that are shown. With one for the instance: all that are enabled, with their state, health, tools, tables and the names of their variables.',
          security: [{}, { bearer: [] }],
          response: { 200: registrySchema, 401: problemSchema },
        },
      },
      async (request, reply) => {
        const signedIn = request.headers.authorization !== undefined;
        let reader: UserId | undefined;
        reply.header('cache-control', 'no-store');
        try {
          if (signedIn) reader = (await authenticate(deps.verifier, request.raw, audience)).sub;
        } catch (thrown) {
          const challenge = challengeFor(toAppError(thrown), resource);
          if (challenge !== undefined) reply.header('www-authenticate', challenge.header);
          throw thrown;
        }
        return { servers: await deps.registry(reader) };
      },
    );
    app.get(
      '/api/v1/mcp/:server/server.json',
      {
        config: { rateGroup: 'mcp_registry' },
        schema: {
          summary: 'An MCP server in the form of the public MCP registry (server.json)',
          params: serverParams,
          response: { 200: serverJsonSchema, 404: problemSchema },
        },
      },
      async (request, reply) => {
        const { server } = serverParams.parse(request.params);
        const found = (await deps.registry(undefined)).find(({ name }) => name === server);
        if (found === undefined) throw unknownServer(server);
        reply.header('cache-control', 'public, max-age=300');
        const { name, display_name: displayName, description } = found;
        return serverJson({ name, displayName, description }, deps.externalUrl, deps.version);
      },
    );
  };
}
