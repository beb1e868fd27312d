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
  })
  .prefault({})
  .describe('What the system tells of itself to those who watch it.');
