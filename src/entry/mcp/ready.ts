import type { Logger } from '../../lib/infra/logging/logger.ts';
import { type Readiness, ReadinessCheck } from '../../lib/infra/process/readiness.ts';
import type { McpServerDefinition } from '../../lib/shared/mcp/server.ts';
import type { McpEnvironment } from './env.ts';

/** Less than the supervisor waits for an answer (2 s), and than the time between two of its questions. */
const boundMs = 1_000;
const holdMs = 500;

/** The server's own `ready`, bounded; `undefined` when it has none. */
export function readinessOf(
  { ready }: McpServerDefinition,
  { databaseUrl }: McpEnvironment,
  logger: Logger,
): ReadinessCheck | undefined {
  if (ready === undefined) return undefined;
  const look = async (signal: AbortSignal): Promise<Readiness> => plain(await ready({ signal, databaseUrl }));
  return new ReadinessCheck(look, { boundMs, holdMs }, (error) => {
    logger.warn({ err: error }, 'the look at readiness failed');
  });
}

/** An author without TypeScript may return anything; only a clear yes counts as one. */
function plain(answer: unknown): Readiness {
  if (typeof answer === 'boolean') return { ready: answer };
  const { ready, reason } = typeof answer === 'object' && answer !== null ? (answer as Partial<Readiness>) : {};
  return { ready: ready === true, ...(typeof reason === 'string' ? { reason } : {}) };
}
