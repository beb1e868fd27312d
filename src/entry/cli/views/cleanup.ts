import type { CleanupItem } from '../../../lib/app/cleanup/item.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { formatBytes } from '../../../lib/shared/text/cells.ts';

const headings: Readonly<Record<CleanupItem['kind'], string>> = {
  process: 'Processes',
  socket: 'Sockets',
  'run file': 'Run files',
  'half-written file': 'Interrupted writes',
  draft: 'Interrupted creations of an instance',
  log: 'Logs',
  data: 'Data of instances that are gone',
};

/** What nobody needs, or what was removed of it, by kind; a path that is to be removed is never cut short. */
export function leftoversCard(
  title: string,
  items: readonly CleanupItem[],
  kept: readonly string[],
): PresentationCardArtifact {
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  const sections = [...Map.groupBy(items, ({ kind }) => kind)].map(([kind, found]) => ({
    heading: headings[kind],
    content: found.map((item) => `${item.what}${sizeText(item)}\n  ${item.reason}`).join('\n'),
  }));
  if (kept.length > 0) sections.push({ heading: 'Left alone', content: kept.join('\n') });
  return {
    type: 'presentation_card',
    title: items.length === 0 ? 'Nothing to clean up' : `${title}: ${items.length}, ${formatBytes(bytes)}`,
    sections,
    data: {
      items: items.map(({ kind, what, bytes: size, reason }) => ({ kind, what, bytes: size, reason })),
      bytes,
      kept,
    },
  };
}

function sizeText({ kind, bytes }: CleanupItem): string {
  return kind === 'process' || kind === 'socket' ? '' : ` (${formatBytes(bytes)})`;
}
