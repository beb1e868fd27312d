import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { unknownServer } from '../../../lib/app/identity.ts';
import { instanceResource, ordinaryScopes, type ResourceServer, sseAddress } from '../../../lib/app/resources.ts';
import { proofAlgorithms } from '../../../lib/domain/auth/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { problemSchema } from '../openapi.ts';

const jwksSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

const metadataSchema = z.object({
  resource: z.url(),
  resource_name: z.string(),
  authorization_servers: z.array(z.url()),
  scopes_supported: z.array(z.string()),
  bearer_methods_supported: z.array(z.literal('header')),
  dpop_signing_alg_values_supported: z.array(z.string()),
  dpop_bound_access_tokens_required: z.boolean(),
});

const linksSchema = z.object({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  endpoints: z.record(z.string(), z.string()),
});

const serverParams = z.object({ server: z.string() });
/** How long others may keep the documents; a new key is published long before it signs. */
const cacheControl = 'public, max-age=300';

/** What clients need to find out how to sign in. All of it is made from the configuration, nothing from the request. */
export function discoveryRoutes(deps: ApiDependencies): FastifyPluginAsync {
  const metadata = (resource: ResourceServer) => ({
    resource: resource.audience,
    resource_name: resource.displayName,
    authorization_servers: [deps.issuer],
    scopes_supported: ordinaryScopes(resource),
    bearer_methods_supported: ['header' as const],
    dpop_signing_alg_values_supported: [...proofAlgorithms],
    dpop_bound_access_tokens_required: resource.requireDpop,
  });
  const published = (name: string, kind: ResourceServer['kind']) => {
    const found = deps.resources.byName(name);
    if (found?.kind !== kind) throw unknownServer(name);
    return metadata(found);
  };
  return async (app) => {
    const jwks = { schema: { summary: 'Public keys of access tokens (RFC 7517)', response: { 200: jwksSchema } } };
    for (const path of ['/api/v1/core/oauth/jwks', '/.well-known/jwks.json']) {
      app.get(path, jwks, async (_request, reply) => {
        reply.header('cache-control', cacheControl);
        return deps.verifier.jwks;
      });
    }

    const links = (description: string, endpoints: Readonly<Record<string, string>>) => ({
      name: 'systemprompt',
      version: deps.version,
      description,
      endpoints: Object.fromEntries(
        Object.entries(endpoints).map(([name, path]) => [name, `${deps.externalUrl}${path}`]),
      ),
    });
    const indexes = {
      '/api/v1': links('What this instance answers', {
        openapi: '/api/v1/openapi.json',
        mcp: '/api/v1/mcp',
        authorization_server: '/.well-known/oauth-authorization-server',
        protected_resource: '/.well-known/oauth-protected-resource/api/v1',
        jwks: '/.well-known/jwks.json',
        health: '/healthz',
      }),
      '/api/v1/mcp': links('MCP servers of this instance', {
        registry: '/api/v1/mcp/registry',
        server: '/api/v1/mcp/{server}/mcp',
        server_json: '/api/v1/mcp/{server}/server.json',
        protected_resource: '/.well-known/oauth-protected-resource/api/v1/mcp/{server}/mcp',
      }),
    };
    for (const [path, document] of Object.entries(indexes)) {
      app.get(
        path,
        { schema: { summary: 'Where to go on from here', response: { 200: linksSchema } } },
        async (_, reply) => {
          reply.header('cache-control', cacheControl);
          return document;
        },
      );
    }

    const answers = { 200: metadataSchema, 404: problemSchema };
    const metadataOf = async (request: FastifyRequest, reply: FastifyReply) => {
      const { server } = serverParams.parse(request.params);
      const document = published(server, 'mcp');
      reply.header('cache-control', cacheControl);
      return document;
    };
    app.get(
      '/.well-known/oauth-protected-resource/api/v1/mcp/:server/mcp',
      { schema: { summary: 'How to sign in to an MCP server (RFC 9728)', params: serverParams, response: answers } },
      metadataOf,
    );
    app.get(
      '/.well-known/oauth-protected-resource/api/v1/mcp/:server/sse',
      { schema: { summary: 'The same for the address of its SSE', params: serverParams, response: answers } },
      async (request, reply) => {
        const document = published(serverParams.parse(request.params).server, 'mcp');
        reply.header('cache-control', cacheControl);
        return { ...document, resource: sseAddress(document.resource) };
      },
    );
    // Where clients of older revisions of MCP looked: below the address of the server.
    app.get(
      '/api/v1/mcp/:server/mcp/.well-known/oauth-protected-resource',
      { schema: { summary: 'The same, below the address of the server', params: serverParams, response: answers } },
      metadataOf,
    );
    app.get(
      '/api/v1/mcp/:server/mcp/.well-known/oauth-authorization-server',
      {
        schema: {
          summary: 'Leads to the document of the authorization server (RFC 8414)',
          params: serverParams,
          response: { 307: z.null(), 404: problemSchema },
        },
      },
      async (request, reply) => {
        published(serverParams.parse(request.params).server, 'mcp');
        return reply.redirect(`${deps.issuer}/.well-known/oauth-authorization-server`, 307);
      },
    );
    app.get(
      '/.well-known/oauth-protected-resource/api/v1',
      { schema: { summary: 'How to sign in to the API itself (RFC 9728)', response: { 200: metadataSchema } } },
      async (_request, reply) => {
        reply.header('cache-control', cacheControl);
        return published(instanceResource, 'instance');
      },
    );
  };
}
