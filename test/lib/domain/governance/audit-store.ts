import { hash, randomUUID } from 'node:crypto';
import {
  type AuditLog,
  AuditWriter,
  type AuditWriterOptions,
  type IntentRow,
  newExecutionId,
  type OutcomeRow,
} from '../../../../src/lib/domain/governance/index.ts';
import type { ConnectionConfig } from '../../../../src/lib/infra/database/connection.ts';
import { type DedicatedConnection, openDedicated } from '../../../../src/lib/infra/database/dedicated.ts';
import { until } from '../../../helpers/until.ts';

export const connectAs = (config: ConnectionConfig) => (): Promise<DedicatedConnection> =>
  openDedicated(config, { applicationName: 'audit-test', connectTimeoutMs: 2_000 });

export interface TestWriter extends AsyncDisposable {
  readonly writer: AuditWriter;
  readonly instance: string;
  readonly logged: string[];
}

/** A writer with a connection, and everything that it logs. */
export async function openWriter(
  config: ConnectionConfig,
  options: Partial<AuditWriterOptions> = {},
): Promise<TestWriter> {
  const instance = options.instance ?? randomUUID();
  const logged: string[] = [];
  const note = (fields: Readonly<Record<string, unknown>>, message: string) => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log: AuditLog = { warn: note, error: note };
  const writer = new AuditWriter({ connect: connectAs(config), instance, log, ...options });
  await until('the writer has a connection', () => writer.available);
  return { writer, instance, logged, [Symbol.asyncDispose]: () => writer.close(1_000) };
}

export function intentRow(more: Partial<IntentRow> = {}): IntentRow {
  return {
    executionId: newExecutionId(),
    server: 'alpha',
    tool: 'echo',
    userId: 'user-1',
    userName: 'owner',
    sessionId: 'session-1',
    client: 'cli',
    scopes: ['user'],
    required: ['user'],
    inputDigest: hash('sha256', '{}', 'hex'),
    inputJson: '{}',
    decision: 'allowed',
    startedAt: Date.now(),
    ...more,
  };
}

export function outcomeRow(executionId: OutcomeRow['executionId'], more: Partial<OutcomeRow> = {}): OutcomeRow {
  return {
    executionId,
    status: 'success',
    latencyUs: 10,
    upstreamUs: 5,
    outputBytes: 2,
    outputDigest: hash('sha256', '{}', 'hex'),
    ...more,
  };
}
