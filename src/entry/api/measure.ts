import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { ApiMetrics } from '../../lib/infra/telemetry/api-metrics.ts';

// Which route a request took is known in two places, at the door to the MCP servers and in the framework; that it came
// and went in one. What reaches neither route (an address that the framework can't read) stays with `other`.

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Measured with these, where that is not the rate limit group. */
    metricsGroup?: string;
  }
}

const methods = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT', 'PATCH']);

/** Measures each request of one server. */
export interface RequestMeter {
  /** A request has come; who knows its group says so before its answer is sent. */
  begin(request: IncomingMessage, response: ServerResponse): void;
  group(request: IncomingMessage, group: string): void;
}

export function createRequestMeter(metrics: Pick<ApiMetrics, 'request'>): RequestMeter {
  const groups = new WeakMap<IncomingMessage, string>();
  return {
    begin: (request, response) => {
      const arrivedAt = performance.now();
      response.once('close', () => {
        const { method = '' } = request;
        // Nothing was answered when the connection went.
        const status = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'none';
        const took = performance.now() - arrivedAt;
        metrics.request(groups.get(request) ?? 'other', methods.has(method) ? method : 'other', status, took);
      });
    },
    group: (request, group) => {
      groups.set(request, group);
    },
  };
}

/** Tells the meter the group of what goes through the framework. First of its hooks: some answer by themselves. */
export function measureRoutes(app: FastifyInstance, meter: RequestMeter | undefined): void {
  if (meter === undefined) return;
  app.addHook('onRequest', async (request) => {
    const { metricsGroup, rateGroup = 'oauth_public' } = request.routeOptions.config;
    if (!request.is404) meter.group(request.raw, metricsGroup ?? rateGroup);
  });
}
