import type { ToolApproval } from '../../../lib/domain/governance/index.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** Calls that were asked about, the newest first. */
export function approvalsTable(approvals: readonly ToolApproval[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'asked_at', label: 'ASKED', column_type: 'date' },
      { name: 'server', column_type: 'string' },
      { name: 'tool', column_type: 'string' },
      { name: 'user', column_type: 'string' },
      { name: 'approver', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'expires_at', label: 'EXPIRES', column_type: 'date' },
      { name: 'id', label: 'APPROVAL', column_type: 'string' },
    ],
    items: approvals.map((approval) => ({
      asked_at: approval.askedAt.toISOString(),
      server: approval.server,
      tool: approval.tool,
      user: approval.userName,
      client: approval.client,
      approver: approval.approver,
      state: approval.state,
      reason: approval.reason,
      expires_at: approval.expiresAt.toISOString(),
      id: approval.id,
    })),
    count: approvals.length,
    empty: 'No calls wait for an approval.',
  };
}

/** One of them: who wants to do what, and what was decided. */
export function approvalCard(approval: ToolApproval): PresentationCardArtifact {
  const { server, tool, state, decidedAt, decidedByName, decidedThrough, executionId } = approval;
  const input = JSON.stringify(approval.input, undefined, 2) ?? 'null';
  const time = (date: Date): string => formatDate(date.toISOString());
  return {
    type: 'presentation_card',
    title: `${server} ${tool}: ${state}`,
    subtitle: approval.id,
    sections: [
      { heading: 'Caller', content: `${approval.userName} (${approval.userId}), client ${approval.client}` },
      { heading: 'Why', content: approval.reason },
      {
        heading: 'Input (redacted)',
        content: input
          .split('\n')
          .map((line) => `  ${line}`)
          .join('\n'),
      },
      { heading: 'Time', content: `asked ${time(approval.askedAt)}, good until ${time(approval.expiresAt)}` },
      ...(decidedAt === undefined
        ? []
        : [{ heading: 'Decision', content: `by ${decidedByName}, ${time(decidedAt)}, through the ${decidedThrough}` }]),
      ...(executionId === undefined ? [] : [{ heading: 'Used by', content: `call ${executionId}` }]),
    ],
    data: {
      ...approval,
      askedAt: approval.askedAt.toISOString(),
      expiresAt: approval.expiresAt.toISOString(),
      decidedAt: decidedAt?.toISOString() ?? null,
    },
  };
}
