import { type McpServer, ResourceNotFoundError, type ServerContext } from '@modelcontextprotocol/server';
import { InternalError } from '../../lib/shared/errors.ts';
import type { RequestContext } from '../../lib/shared/mcp/context.ts';
import type { ResourceContent, ResourceDefinition, ResourceTemplateDefinition } from '../../lib/shared/mcp/resource.ts';
import type { ProtocolDeps } from './deps.ts';
import { serveRequest } from './requests.ts';

/** Of one template; a list for people ends somewhere. */
const mostListed = 1_000;

/** Serves the resources and resource templates of a definition. */
export function serveResources(
  server: McpServer,
  resources: readonly ResourceDefinition[],
  templates: readonly ResourceTemplateDefinition[],
  deps: ProtocolDeps,
): void {
  const fixed = resources.map(({ uri, meta, ...about }) => ({
    uri,
    ...described(about),
    ...(meta === undefined ? {} : { _meta: { ...meta } }),
  }));
  const patterns = templates.map(({ uriTemplate, ...about }) => ({ uriTemplate, ...described(about) }));
  server.server.setRequestHandler('resources/list', async (_request, protocol) => {
    const lists = templates.flatMap(({ list, name, mimeType }) =>
      list === undefined ? [] : [{ list, name, mimeType }],
    );
    const found = await Promise.all(
      lists.map(({ list, name, mimeType }) =>
        serveRequest(`resources of ${name}`, protocol, deps, async (context) =>
          (await list(context))
            .slice(0, mostListed)
            .map((one) => ({ ...(mimeType === undefined ? {} : { mimeType }), ...one })),
        ),
      ),
    );
    return { resources: [...fixed, ...found.flat()] };
  });
  server.server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: patterns }));
  server.server.setRequestHandler('resources/read', ({ params }, protocol) =>
    read(params.uri, { resources, templates }, protocol, deps),
  );
}

interface Offered {
  readonly resources: readonly ResourceDefinition[];
  readonly templates: readonly ResourceTemplateDefinition[];
}

interface About {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly mimeType: string | undefined;
}

function described({ name, title, description, mimeType }: About) {
  return {
    name,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(mimeType === undefined ? {} : { mimeType }),
  };
}

async function read(uri: string, { resources, templates }: Offered, protocol: ServerContext, deps: ProtocolDeps) {
  const resource = resources.find((one) => one.uri === uri);
  const work =
    resource === undefined
      ? fromTemplate(uri, templates)
      : { name: resource.name, mimeType: resource.mimeType, meta: resource.meta, read: resource.read };
  if (work === undefined) throw new ResourceNotFoundError(uri);
  const content = await serveRequest(`resource ${work.name}`, protocol, deps, (context) => work.read(context));
  if (content === undefined || content === null) throw new ResourceNotFoundError(uri);
  return {
    contents: [
      {
        uri,
        ...contentOf(work.name, content, work.mimeType),
        ...(work.meta === undefined ? {} : { _meta: { ...work.meta } }),
      },
    ],
  };
}

function fromTemplate(uri: string, templates: readonly ResourceTemplateDefinition[]) {
  for (const { name, mimeType, template, read: readOne } of templates) {
    const variables = template.match(uri);
    if (variables === undefined) continue;
    return { name, mimeType, meta: undefined, read: (context: RequestContext) => readOne(variables, context) };
  }
  return undefined;
}

function contentOf(name: string, content: ResourceContent, mimeType: string | undefined) {
  if (typeof content === 'string') return { mimeType: mimeType ?? 'text/plain', text: content };
  if (content instanceof Uint8Array) {
    return { mimeType: mimeType ?? 'application/octet-stream', blob: Buffer.from(content).toString('base64') };
  }
  const text: unknown = JSON.stringify(content, null, 2);
  if (typeof text !== 'string') throw new InternalError(`The resource ${name} is neither a text, bytes nor JSON`);
  return { mimeType: mimeType ?? 'application/json', text };
}
