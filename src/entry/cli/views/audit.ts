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
export function auditCard(
  entry: AuditEntry,
  kept?: { readonly type: string; readonly title?: string | undefined },
): PresentationCardArtifact {
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
      ...(entry.via === undefined ? [] : [{ heading: 'Via', content: `the virtual server ${entry.via}` }]),
      { heading: 'Right', content: `${entry.decision}: held ${list(entry.scopes)}, asked for ${list(entry.required)}` },
      {
        heading: 'Time',
        content: `${formatDate(entry.startedAt.toISOString())}, took ${ms(entry.latencyUs)} (server ${ms(entry.upstreamUs)})`,
      },
      { heading: 'Input (redacted)', content: indented(JSON.stringify(entry.input, undefined, 2) ?? 'null') },
      ...policySections('Rules and hooks', entry.policy),
      ...policySections('Rules and hooks on the answer', entry.answerPolicy),
      ...askedSection(entry.answerPolicy),
      ...(entry.traceId === undefined ? [] : [{ heading: 'Trace', content: entry.traceId }]),
      ...(entry.error === undefined ? [] : [{ heading: 'Error', content: entry.error }]),
      ...(entry.outputBytes === undefined
        ? []
        : [{ heading: 'Answer', content: `${formatBytes(entry.outputBytes)}, SHA-256 ${entry.outputDigest ?? '–'}` }]),
      ...(kept === undefined
        ? []
        : [
            {
              heading: 'Artifact',
              content: `${kept.title ?? kept.type} (${kept.type}): admin audit artifact ${entry.executionId}`,
            },
          ]),
    ],
    data: { ...entry, startedAt: entry.startedAt.toISOString(), recordedAt: entry.recordedAt?.toISOString() ?? null },
  };
}

/** What the audit keeps of rules and hooks, as far as it is of the form that is written today. */
interface Policy {
  readonly version?: string;
  readonly said?: readonly { by: string; verdict: string; reason?: string; ms?: number }[];
  readonly rewritten?: { readonly digest: string; readonly input: unknown };
  readonly given?: string;
  readonly approval?: { readonly id: string; readonly state: string; readonly by?: string };
}

/** An answer that is a question: the call goes on with another one, which brings what was asked for. */
function askedSection(kept: unknown): { heading: string; content: string }[] {
  const { asked } = (kept ?? {}) as { readonly asked?: readonly string[] };
  if (asked === undefined) return [];
  const what = asked.length === 0 ? 'nothing, the caller only comes back' : asked.join(', ');
  return [{ heading: 'Asked before a result', content: `${what} (input_required)` }];
}

function policySections(heading: string, kept: unknown): { heading: string; content: string }[] {
  if (typeof kept !== 'object' || kept === null) return [];
  const { version, said = [], rewritten, given, approval } = kept as Policy;
  if (version === undefined) return [];
  const lines = said.map(({ by, verdict, reason, ms }) => {
    const took = ms === undefined ? '' : ` (${formatDuration(ms)})`;
    return `${by}: ${verdict}${took}${reason === undefined ? '' : `, ${reason}`}`;
  });
  if (given !== undefined) lines.push(`answered instead: SHA-256 ${given}`);
  const content = [...(lines.length === 0 ? ['nothing against it'] : lines), `rules ${version}`].join('\n');
  return [
    { heading, content },
    ...(rewritten === undefined
      ? []
      : [
          {
            heading: 'Sent instead (redacted)',
            content: `${indented(JSON.stringify(rewritten.input, undefined, 2))}\nSHA-256 ${rewritten.digest}`,
          },
        ]),
    ...(approval === undefined
      ? []
      : [
          {
            heading: 'Approval',
            content: `${approval.id}: ${approval.by === undefined ? 'asked for' : `approved by ${approval.by}`}`,
          },
        ]),
  ];
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
