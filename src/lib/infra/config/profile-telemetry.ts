import { z } from 'zod';
import { listeningPort } from './profile-fields.ts';

/** `telemetry` of the profile: what the system tells of itself to those who watch it. */
export const telemetrySection = z
  .strictObject({
    metrics: z
      .enum(['off', 'on'])
      .default('off')
      .describe(
        'Whether the API measures itself and answers `GET /metrics`, in the text format of Prometheus, for callers with the permission `admin`.',
      ),
    metrics_port: listeningPort
      .optional()
      .describe(
        'A port on loopback alone that answers `GET /metrics` without a sign-in, for programs of this machine that collect metrics. Needs `metrics: on`. Without it there is no such port.',
      ),
    traces: z
      .enum(['off', 'on'])
      .default('off')
      .describe(
        'Whether spans of requests to MCP servers are made and sent, by OpenTelemetry: OTLP over HTTP, as JSON. What the other settings leave open, the variables OTEL_* of the supervisor say.',
      ),
    traces_endpoint: z
      .url({ protocol: /^https?$/, error: 'must be an http or https address' })
      .optional()
      .describe(
        'Where spans are sent: the address of a collector, to which /v1/traces is added. http://localhost:4318 unless it or OTEL_EXPORTER_OTLP_ENDPOINT says otherwise.',
      ),
    traces_ratio: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'Which part of the traces that begin here is kept: 1 is all of them. Whether a trace of a client is kept, the client says.',
      ),
  })
  .prefault({})
  .describe('What the system tells of itself to those who watch it.');
