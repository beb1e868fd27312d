import { dirname } from 'node:path';
import { portsOf, strangerOn } from '../../lib/app/supervisor/port-holder.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { ApiMetrics, type ApiMetricsOptions } from '../../lib/infra/telemetry/api-metrics.ts';
import { createScrape } from '../../lib/infra/telemetry/scrape.ts';
import { PortTakenError } from '../../lib/shared/errors.ts';
import { HttpEndpoint } from './listen.ts';
import { createRequestMeter, type RequestMeter } from './measure.ts';
import { type Handler, metricsPortHandler, withOwnMetrics } from './metrics-handlers.ts';

/** What an API process does so that it can be watched. Loaded only where the profile says `telemetry.metrics: on`. */
export interface Telemetry {
  readonly metrics: ApiMetrics;
  readonly meter: RequestMeter;
  /** What all API processes of the instance measured. */
  scrape(): Promise<string>;
  /** What the socket of this process answers, by which those beside it ask. */
  onSocket(handler: Handler, log: Logger): Handler;
  /** Opens `telemetry.metrics_port`, where there is one. @throws PortTakenError */
  listen(port: number | undefined, options: MetricsPortOptions): Promise<HttpEndpoint | undefined>;
}

/** @param probeSocket of this process; those beside it have theirs in the same folder */
export function openTelemetry(options: ApiMetricsOptions, probeSocket: string | undefined): Telemetry {
  const metrics = new ApiMetrics(options);
  const sockets = probeSocket === undefined ? undefined : { folder: dirname(probeSocket), own: probeSocket };
  const own = () => metrics.text();
  const scrape = createScrape({ own, sockets });
  return {
    metrics,
    meter: createRequestMeter(metrics),
    scrape,
    onSocket: (handler, log) => withOwnMetrics(handler, own, log),
    listen: async (port, listening) => (port === undefined ? undefined : listenForScrapes(port, scrape, listening)),
  };
}

interface MetricsPortOptions {
  /** Whether the processes of the instance share the port, as they do that of the API. */
  readonly shared: boolean;
  readonly installationId: string;
  readonly log: Logger;
}

/**
 * Opens `telemetry.metrics_port` on loopback. Where it is shared, each process has it and answers for all, so that a
 * hand-over leaves no gap; whoever else has it would answer some of those who ask.
 * @throws PortTakenError when somebody else listens there
 */
async function listenForScrapes(
  port: number,
  scrape: () => Promise<string>,
  { shared, installationId, log }: MetricsPortOptions,
): Promise<HttpEndpoint> {
  const handler = metricsPortHandler(port, scrape, log);
  const endpoint = await HttpEndpoint.listen(handler, {
    host: 'localhost',
    port,
    shared,
    setting: 'telemetry.metrics_port',
  });
  if (!shared) return endpoint;
  const stranger = await strangerOn(port, portsOf({ preferred: port, shared: { loopback: true } }, installationId));
  if (stranger === undefined) return endpoint;
  await endpoint.drain({ deadlineMs: 0 });
  const who = stranger.pid === undefined ? 'another process' : `process ${stranger.pid} (${stranger.command ?? '?'})`;
  throw new PortTakenError(`Port ${port} is taken by ${who}`, {
    hint: 'End that program, or set another `telemetry.metrics_port` in the profile.',
    data: { ...stranger },
  });
}
