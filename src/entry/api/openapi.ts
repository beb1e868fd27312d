import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema, FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { UsageError } from '../../lib/shared/errors.ts';
import type { ApiDependencies } from './dependencies.ts';

/** The answer to any request that is not fulfilled (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: z.string().describe('What went wrong, for programs'),
    request_id: z.string(),
    hint: z.string().optional(),
    next: z.array(z.string()).optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .describe('Problem document (RFC 9457)');

/** Checks path, query and body with the zod schema that the route was declared with. */
export const validateWithZod: FastifySchemaCompiler<FastifySchema> = ({ schema, httpPart }) => {
  const checked = schema as unknown as z.ZodType;
  return (data) => {
    const result = checked.safeParse(data);
    if (result.success) return { value: result.data };
    const issues = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
    return {
      error: new UsageError(`The ${httpPart ?? 'request'} does not fit: ${issues[0]?.message}`, { data: { issues } }),
    };
  };
};

const parts = ['body', 'querystring', 'params', 'headers'] as const;

/** Serves the OpenAPI 3.1 document of every route that is registered after this. */
export async function installOpenApi(app: FastifyInstance, deps: ApiDependencies): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'systemprompt',
        version: deps.version,
        description: 'Signed-in, governed and audited access to the MCP servers of this instance.',
      },
      servers: [{ url: deps.externalUrl }],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' } } },
    },
    transform: ({ schema, url }) => ({ schema: toJsonSchemas(schema), url }),
  });
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

/** The zod schemas of a route as JSON Schema 2020-12, the dialect of OpenAPI 3.1. */
function toJsonSchemas(schema: FastifySchema | undefined): FastifySchema {
  if (schema === undefined) return {};
  const converted: Record<string, unknown> = { ...schema };
  for (const part of parts)
    if (schema[part] instanceof z.ZodType) converted[part] = toJsonSchema(schema[part], 'input');
  if (typeof schema.response === 'object' && schema.response !== null) {
    const answers = Object.entries(schema.response).map(([status, answer]) => [
      status,
      answer instanceof z.ZodType ? toJsonSchema(answer, 'output') : answer,
    ]);
    converted.response = Object.fromEntries(answers);
  }
  return converted as FastifySchema;
}

function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}
