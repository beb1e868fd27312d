import type { AuditEntry, AuditPage } from '../../../lib/domain/governance/index.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatBytes, formatDate, formatDuration } from '../../../lib/shared/text/cells.ts';

const resultColumns = [
  { name: 'latency', column_type: 'duration' },
  { name: 'output_bytes', label: 'ANSWER', column_type: 'bytes' },
] as const;
const rightColumns = [
  { name: 'required', label: 'ASKED FOR', column_type: 'string' },
  { name: 'held', column_type: 'string' },
] as const;

/** A page of tool calls, with `scopes` by which right each was made. `count` is what is shown: counting the whole trail would cost more than reading a page of it. */
export function auditTable(page: AuditPage, scopes = false): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'started_at', label: 'STARTED', column_type: 'date' },
      { name: 'server', column_type: 'string' },
      { name: 'tool', column_type: 'string' },
      { name: 'user', column_type: 'string' },
      { name: 'status', column_type: 'string' },
      ...(scopes ? rightColumns : resultColumns),
      { name: 'execution_id', label: 'EXECUTION', column_type: 'string' },
    ],
    items: page.entries.map((entry) => ({
      started_at: entry.startedAt.toISOString(),
      server: entry.server,
      tool: entry.tool,
      user: entry.userName,
      client: entry.client ?? null,
      status: entry.status,
      decision: entry.decision,
      required: entry.required.join(' '),
      held: entry.scopes.join(' '),
      latency: entry.latencyUs === undefined ? null : entry.latencyUs / 1000,
      output_bytes: entry.outputBytes ?? null,
      execution_id: entry.executionId,
    })),
    count: page.entries.length,
    ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
    empty: 'No calls found.',
  };
}

/** One tool call: who, what, by which right, and how it ended. */
export function auditCard(entry: AuditEntry): PresentationCardArtifact {
  const ms = (us: number | undefined): string => (us === undefined ? '–' : formatDuration(us / 1000));
  return {
    type: 'presentation_card',
    title: `${entry.server} ${entry.tool}: ${entry.status}`,
    subtitle: entry.executionId,
    sections: [
      {
        heading: 'Caller',
        content: `${entry.userName} (${entry.userId})${entry.client ? `, client ${entry.client}` : ''}\nsession ${entry.sessionId}`,
      },
      { heading: 'Right', content: `${entry.decision}: held ${list(entry.scopes)}, asked for ${list(entry.required)}` },
      {
        heading: 'Time',
        content: `${formatDate(entry.startedAt.toISOString())}, took ${ms(entry.latencyUs)} (server ${ms(entry.upstreamUs)})`,
      },
      { heading: 'Input (redacted)', content: indented(JSON.stringify(entry.input, undefined, 2) ?? 'null') },
      ...(entry.error === undefined ? [] : [{ heading: 'Error', content: entry.error }]),
      ...(entry.outputBytes === undefined
        ? []
        : [{ heading: 'Answer', content: `${formatBytes(entry.outputBytes)}, SHA-256 ${entry.outputDigest ?? '–'}` }]),
    ],
    data: { ...entry, startedAt: entry.startedAt.toISOString(), recordedAt: entry.recordedAt?.toISOString() ?? null },
  };
}

function list(scopes: readonly string[]): string {
  return scopes.length === 0 ? 'nothing' : scopes.join(', ');
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
