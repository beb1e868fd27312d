import type { CliRunner } from '../../lib/app/cli-runner.ts';
import type { KnownSecrets } from '../../lib/infra/logging/known-secrets.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import type { DeclaredVariables, ServerDatabase } from '../../lib/shared/mcp/context.ts';
import type { McpServerDefinition } from '../../lib/shared/mcp/server.ts';
import type { Tracer } from '../../lib/shared/tracing.ts';
import type { RunningCalls } from './calls.ts';
import type { McpEnvironment } from './env.ts';

/** What serving takes, for as long as the process lives. */
export interface ProtocolDeps {
  readonly definition: McpServerDefinition;
  readonly environment: McpEnvironment;
  readonly calls: RunningCalls;
  readonly cli: CliRunner;
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
  readonly database: ServerDatabase;
  readonly variables: DeclaredVariables;
  readonly maxBodyBytes: number;
  /** Makes spans; none are made without. */
  readonly tracer: Tracer | undefined;
}
