import type { Approved, ReviewedTool } from '../../../lib/app/catalogue/review.ts';
import { type Finding, type RawTool, visible } from '../../../lib/domain/mcp/index.ts';
import type { CopyPasteTextArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { unifiedDiff } from '../../../lib/shared/text/unified-diff.ts';

/** What of a tool is shown and pinned. */
const shown = ['title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;
const digestLength = 12;

/** The tools that differ from what was approved, or in which something was found: what changed, and why they are held. */
export function toolDiffs(server: string, tools: readonly ReviewedTool[]): CopyPasteTextArtifact {
  const open = tools.filter(({ state, findings }) => state === 'held' || (state === 'approved' && findings.length > 0));
  const parts = open.map((tool) => [heading(tool), ...tool.findings.map(findingLine), diffOf(tool)].join('\n'));
  const count = (state: string) => tools.filter((tool) => tool.state === state).length;
  const sum = `${server}: ${count('approved')} approved, ${count('held')} held, ${count('gone')} gone`;
  return {
    type: 'copy_paste_text',
    language: 'diff',
    content: [sum, ...parts].join('\n\n'),
    data: {
      server,
      tools: tools.map((tool) => ({
        name: tool.name,
        state: tool.state,
        reason: tool.reason ?? null,
        digest: tool.digest,
        approved_digest: tool.approvedDigest ?? null,
        approved_at: tool.approvedAt?.toISOString() ?? null,
        approved_by: tool.approvedBy ?? null,
        first_seen: tool.firstSeen.toISOString(),
        changed_at: tool.changedAt.toISOString(),
        findings: tool.findings,
        ...(open.includes(tool) ? { diff: diffOf(tool) } : {}),
      })),
    },
  };
}

/** The tools that were approved now, one a line. */
export function approvedTools(server: string, { approved, left }: Approved, runnable: string): TableArtifact {
  return {
    type: 'table',
    title: `Approved tools of ${server}`,
    columns: [
      { name: 'tool', column_type: 'string' },
      { name: 'digest', column_type: 'string' },
      { name: 'findings', column_type: 'integer' },
    ],
    items: approved.map(({ name, digest, findings }) => ({
      tool: visible(name),
      digest: digest.slice(0, digestLength),
      findings: findings.length,
    })),
    count: approved.length,
    empty: 'Nothing was held that could be approved.',
    ...(left.length === 0
      ? {}
      : { notes: [`Held still: ${left.map(({ name }) => visible(name)).join(', ')}. To look at them: ${runnable}`] }),
  };
}

function heading({ name, state, reason, digest }: ReviewedTool): string {
  const why = reason === undefined ? 'with findings' : reason;
  return `${visible(name)}  ${state} (${why})  ${digest.slice(0, digestLength)}`;
}

function findingLine({ rule, severity, at, excerpt }: Finding): string {
  return `! ${severity} ${rule} in ${visible(at)}: ${excerpt}`;
}

function diffOf(tool: ReviewedTool): string {
  const before = tool.before === undefined ? '' : written(tool.before);
  return unifiedDiff(before, written(tool.definition));
}

/** A definition as people compare it: texts line by line, schemas indented, hidden characters written out. */
function written(definition: RawTool): string {
  return shown
    .filter((member) => definition[member] !== undefined)
    .map((member) => {
      const value = definition[member];
      const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
      const lines = text.split('\n').map((line) => `  ${visible(line, 2_000)}`);
      return [`${member}:`, ...lines].join('\n');
    })
    .join('\n');
}
