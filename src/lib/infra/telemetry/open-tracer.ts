import type { Tracer } from '../../shared/tracing.ts';
import type { TracerOptions } from './tracer.ts';

/** Set for a process that is to make spans. */
const tracesVariable = 'SYSTEMPROMPT_TRACES';

/** The tracer of a process; none, and nothing of it loaded, where spans are off. */
export async function tracerOf(options: TracerOptions): Promise<Tracer | undefined> {
  const { env } = options;
  if (env[tracesVariable] !== 'on' || env['OTEL_SDK_DISABLED'] === 'true') return undefined;
  const { openTracer } = await import('./tracer.ts');
  return openTracer(options);
}

/** What a process is told of it: the settings of the profile, and of OpenTelemetry's own variables what they leave open. */
export function traceEnvironment(
  telemetry: {
    readonly traces: 'off' | 'on';
    readonly traces_endpoint?: string | undefined;
    readonly traces_ratio?: number | undefined;
  },
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  if (telemetry.traces === 'off') return {};
  const { traces_endpoint: endpoint, traces_ratio: ratio } = telemetry;
  const standard = Object.entries(env).filter((pair): pair is [string, string] => {
    const [name, value] = pair;
    return name.startsWith('OTEL_') && value !== undefined;
  });
  return {
    ...Object.fromEntries(standard),
    ...(endpoint === undefined
      ? {}
      : { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint.replace(/\/$/, '')}/v1/traces` }),
    ...(ratio === undefined
      ? {}
      : { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: String(ratio) }),
    [tracesVariable]: 'on',
  };
}
