import type { FastifyPluginAsync } from 'fastify';
import { metricsContentType, metricsPath } from '../../../lib/infra/telemetry/content.ts';
import { adminOnly } from '../admin-only.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { problemSchema } from '../openapi.ts';

const description =
  'What all API processes of the instance measured, in the text format of Prometheus. ' +
  'Needs a token of the instance with the scope `admin`. There while `telemetry.metrics` is `on`.';

/** The measures of the instance; no such address while it is not measured. */
export function metricsRoutes(deps: ApiDependencies): FastifyPluginAsync {
  const admin = adminOnly(deps);
  return async (app) => {
    const { telemetry } = deps;
    if (telemetry === undefined) return;
    app.get(
      metricsPath,
      {
        config: { metricsGroup: 'metrics' },
        exposeHeadRoute: false,
        schema: {
          summary: 'Metrics',
          description,
          security: [{ bearer: [] }],
          response: {
            200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
            401: problemSchema,
            403: problemSchema,
          },
        },
      },
      async (request, reply) => {
        await admin.challenge(request.raw, reply);
        return reply
          .header('cache-control', 'no-store')
          .type(metricsContentType)
          .send(await telemetry.scrape());
      },
    );
  };
}
