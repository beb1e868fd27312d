import { join } from 'node:path';
import { withLimits } from '../../src/lib/app/supervisor/with-limits.ts';
import type { ServiceLimits } from '../../src/lib/infra/config/limits-schema.ts';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import { httpHealth } from '../../src/lib/infra/process/health.ts';
import type { ServiceKind, ServiceSpec } from '../../src/lib/infra/process/spec.ts';

/** A service of a test: a program of test/fixtures/services, as data. */
export interface FixtureService {
  readonly name: string;
  /** `good`, `ignores-term`, … */
  readonly program: string;
  readonly kind?: ServiceKind;
  readonly port: number;
  readonly range?: readonly [number, number];
  readonly dependsOn?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly graceMs?: number;
  readonly readyTimeoutMs?: number;
  readonly artefactHash?: string;
  readonly handOver?: boolean;
  /** As in YAML. */
  readonly limits?: ServiceLimits;
  /** Several runs may listen on its port at once; the program has to bind it so. */
  readonly shared?: boolean;
  readonly configHash?: string;
}

/** The spec of a fixture, as the composition root would make one. */
export function fixtureSpec(service: FixtureService): ServiceSpec {
  const file = join(packageRoot(), 'test/fixtures/services', `${service.program}.mjs`);
  const spec: ServiceSpec = {
    name: service.name,
    kind: service.kind ?? 'mcp',
    dependsOn: service.dependsOn ?? [],
    port: {
      preferred: service.port,
      ...(service.range === undefined ? {} : { range: service.range }),
      ...(service.shared === true ? { shared: { loopback: true } } : {}),
    },
    ...(service.handOver === undefined ? {} : { handOver: service.handOver }),
    artefactHash: service.artefactHash ?? '1',
    configHash: service.configHash ?? '1',
    command: async ({ port }) => ({
      file: process.execPath,
      args: [file],
      env: { ...service.env, PATH: process.env['PATH'] ?? '', PORT: String(port) },
      cwd: process.cwd(),
    }),
    probe: (context) => httpHealth(context),
    stop: { signal: 'SIGTERM', graceMs: service.graceMs ?? 5_000 },
    readyTimeoutMs: service.readyTimeoutMs ?? 10_000,
  };
  return withLimits(spec, service.limits ?? {});
}
