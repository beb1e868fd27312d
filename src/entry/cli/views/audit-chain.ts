import type { Verification } from '../../../lib/domain/governance/index.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { type AppError, ConflictError } from '../../../lib/shared/errors.ts';
import { formatDate, formatDuration } from '../../../lib/shared/text/cells.ts';

/** What was verified, what was found, and the checkpoint to note down. */
export function verificationCard(
  found: Verification & { readonly absent?: number },
  ms: number,
): PresentationCardArtifact {
  const { segments, checkpoints, rows, pruned, unsealed, head, findings, findingCount, absent } = found;
  const tail =
    unsealed.rows === 0
      ? 'Everything that is committed is sealed.'
      : `${unsealed.rows} rows are not sealed yet, the oldest of ${unsealed.oldest === undefined ? '–' : formatDate(unsealed.oldest)}.`;
  const sections = [
    {
      heading: 'Verified',
      content: `${rows} rows against ${segments} segments and ${checkpoints} checkpoints, in ${formatDuration(ms)}${
        pruned === 0
          ? ''
          : `\n${pruned} rows were deleted at the end of their retention; their digests are in the chain`
      }`,
    },
    absent === undefined
      ? { heading: 'Not sealed yet', content: tail }
      : { heading: 'Not in the file', content: `${absent} rows that were not asked for when it was written` },
  ];
  if (head !== undefined) {
    sections.push({
      heading: 'Checkpoint',
      content: `${head.number}:${head.hash}\nof ${formatDate(head.signedAt)}, signed by the key ${head.keyId}`,
    });
  }
  if (findingCount > 0) {
    const more = findingCount > findings.length ? [`… and ${findingCount - findings.length} more`] : [];
    sections.push({
      heading: 'Findings',
      content: [...findings.map(({ kind, message }) => `${kind}: ${message}`), ...more].join('\n'),
    });
  }
  return {
    type: 'presentation_card',
    title: findingCount === 0 ? 'The audit is whole' : `The audit is not whole: ${counted(findingCount)}`,
    sections,
    data: { ...found, ms: Math.round(ms) },
  };
}

/** Why the command fails; nothing when all is well. */
export function verificationFailure({ findingCount }: Verification): AppError | undefined {
  if (findingCount === 0) return undefined;
  return new ConflictError(`The audit is not whole: ${counted(findingCount)}`, {
    hint: 'Keep the database as it is and a backup from before: what was changed can be told by comparing them.',
  });
}

function counted(count: number): string {
  return count === 1 ? '1 finding' : `${count} findings`;
}
