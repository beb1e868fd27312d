import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { passes, type ServiceEventFilter } from '../../../lib/app/supervisor/event-types.ts';
import { ApiUnavailableError } from '../../../lib/shared/errors.ts';
import { sseMessage } from '../../../lib/shared/sse.ts';
import { adminOnly } from '../admin-only.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { EventStream } from '../event-stream.ts';
import { problemSchema } from '../openapi.ts';

/** So many may listen at once; each reads the database at its own pace. */
const maxStreams = 64;

const query = z.object({
  service: z.string().min(1).max(100).optional().describe('Events of this service or kind only'),
  after: z.coerce.number().int().min(0).optional().describe('Begin after the event with this id'),
});

const description =
  'Server-sent events: one `transition` for each change of state, with its id and the columns of its row as JSON. ' +
  'Begins with what happens next; `Last-Event-ID`, or `after`, begins after that event. ' +
  'Needs a token of the instance with the scope `admin`. Ends when the sign-in ends or the API stops: come back.';

/** What happens to the services, as it happens. */
export function serviceRoutes(deps: ApiDependencies): FastifyPluginAsync {
  const admin = adminOnly(deps);
  let open = 0;
  return async (app) => {
    app.get(
      '/api/v1/services/events',
      {
        config: { rateGroup: 'stream' },
        exposeHeadRoute: false,
        schema: {
          summary: 'Changes of state of the services, live',
          description,
          security: [{ bearer: [] }],
          querystring: query,
          response: {
            200: { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } },
            401: problemSchema,
            403: problemSchema,
            503: problemSchema,
          },
        },
      },
      async (request, reply) => {
        await admin.challenge(request.raw, reply);
        if (deps.draining()) throw new ApiUnavailableError('The API is stopping');
        if (open >= maxStreams) throw new ApiUnavailableError(`${maxStreams} are listening already`);
        open += 1;
        try {
          const { service, after } = query.parse(request.query);
          const now = await deps.serviceEvents.position();
          const from = lastEventId(request.headers['last-event-id']) ?? after ?? now;
          reply.hijack();
          const stream = new EventStream(reply.raw, reply.getHeaders(), {
            stillAllowed: () => admin.require(request.raw),
          });
          await relay(deps.serviceEvents, from, service === undefined ? {} : { services: [service] }, stream).catch(
            (thrown: unknown) => request.log.warn({ err: thrown }, 'A stream of events broke off'),
          );
          stream.end();
        } finally {
          open -= 1;
        }
      },
    );
  };
}

/** Writes events until the reader has gone or the feed ends. */
async function relay(
  feed: ApiDependencies['serviceEvents'],
  after: number,
  filter: ServiceEventFilter,
  stream: EventStream,
): Promise<void> {
  for await (const page of feed.follow({ after, signal: stream.signal })) {
    for (const event of page.filter((candidate) => passes(candidate, filter))) {
      await stream.write(sseMessage({ id: String(event.id), event: 'transition', data: event }));
    }
  }
}

/** The id of one of our events; anything else is none. */
function lastEventId(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
