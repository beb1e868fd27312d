import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { probeHeader } from '../../../lib/infra/process/health.ts';
import { ReadinessCheck } from '../../../lib/infra/process/readiness.ts';
import { Vitals } from '../../../lib/infra/process/vitals.ts';
import { type ErrorCode, toAppError } from '../../../lib/shared/errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { titleOf } from '../problem.ts';

const healthSchema = z.object({
  instanceId: z.string().describe('This run of the process; a restart gets another'),
  pid: z.int(),
  version: z.string(),
  uptime_ms: z.number(),
  ready: z.boolean().describe('Whether it can serve for now; more in /readyz'),
  reason: z.string().optional().describe('Why it can not'),
  eventLoopDelayMs: z.number().describe("99th percentile since the supervisor's last check"),
  rssBytes: z.number().describe('Resident memory of the process'),
  circuits: z
    .record(z.string(), z.enum(['half_open', 'open']))
    .optional()
    .describe('MCP servers whose circuit breaker is not closed in this process; told to its supervisor alone'),
});

const readinessSchema = z.object({
  ready: z.boolean(),
  reasons: z.array(z.object({ check: z.string(), code: z.string(), reason: z.string() })),
});

interface Reason {
  readonly check: string;
  readonly code: ErrorCode | 'DRAINING';
  readonly reason: string;
}

/** A check that takes longer than this has failed, in ms. */
const checkTimeoutMs = 2000;
/** In the answer to a liveness check, which must not wait for it: how long a look may take, and how long its answer holds. */
const readinessBoundMs = 1000;
const readinessHoldMs = 1000;

/** Liveness: the process answers. Readiness: what it needs is there, and it is not on its way out. */
export function healthRoutes(deps: ApiDependencies): FastifyPluginAsync {
  return async (app) => {
    const vitals = new Vitals();
    app.addHook('onClose', async () => {
      vitals.close();
    });
    let missing: ReadonlySet<string> = new Set();
    const readiness = new ReadinessCheck(
      async () => {
        const reasons = await unmet(deps, (check, error) => {
          // Once, not every two seconds for as long as it lasts.
          if (!missing.has(check)) app.log.warn({ err: error, check }, 'Not ready');
        });
        missing = new Set(reasons.map(({ check }) => check));
        const reason = reasons.map(({ check, reason: why }) => `${check}: ${why}`).join('; ');
        return reasons.length === 0 ? { ready: true } : { ready: false, reason };
      },
      { boundMs: readinessBoundMs, holdMs: readinessHoldMs },
      (error) => app.log.error({ err: error }, 'The look at readiness failed'),
    );

    app.get(
      '/healthz',
      {
        config: { rateGroup: 'none', metricsGroup: 'probe' },
        schema: { summary: 'Liveness', response: { 200: healthSchema } },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store');
        const supervised = request.headers[probeHeader] === deps.instanceId;
        // Which servers there are and how they do is not for the web: only who asks by the process's own socket has no address.
        const circuits = supervised && request.socket.remoteAddress === undefined ? deps.circuits() : {};
        return {
          instanceId: deps.instanceId,
          pid: process.pid,
          version: deps.version,
          uptime_ms: Math.round(process.uptime() * 1000),
          ...(await readiness.current()),
          ...vitals.read(supervised),
          ...(Object.keys(circuits).length === 0 ? {} : { circuits }),
        };
      },
    );

    const answers = { 200: readinessSchema, 503: readinessSchema };
    const options = {
      config: { rateGroup: 'none' as const, metricsGroup: 'probe' },
      schema: { summary: 'Readiness', response: answers },
    };
    app.get('/readyz', options, async (request, reply) => {
      const reasons = await unmet(deps, (check, error) => request.log.warn({ err: error, check }, 'Not ready'));
      return reply
        .header('cache-control', 'no-store')
        .code(reasons.length === 0 ? 200 : 503)
        .send({ ready: reasons.length === 0, reasons });
    });
  };
}

/** What is missing, by title only: the details (hosts, names) are in the log. */
async function unmet(deps: ApiDependencies, onFailure: (check: string, error: unknown) => void): Promise<Reason[]> {
  if (deps.draining()) return [{ check: 'process', code: 'DRAINING', reason: 'It is stopping' }];
  const reasons = await Promise.all(
    Object.entries(deps.readiness).map(async ([check, run]): Promise<Reason[]> => {
      try {
        await within(Promise.resolve().then(run), checkTimeoutMs);
        return [];
      } catch (thrown) {
        onFailure(check, thrown);
        const { code } = toAppError(thrown);
        return [{ check, code, reason: titleOf(code) }];
      }
    }),
  );
  return reasons.flat();
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`No answer within ${ms} ms`)), ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
