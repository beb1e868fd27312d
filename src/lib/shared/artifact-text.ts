import type { Artifact, ListArtifact, PresentationCardArtifact, TableArtifact } from './artifact.ts';
import { noPaint, type Paint } from './text/paint.ts';
import { renderTable } from './text/table.ts';
import { harmless, wrap } from './text/width.ts';

export interface ArtifactTextOptions {
  /** Columns to fill. */
  readonly width: number;
  /** Marks for a terminal; none by default. */
  readonly paint?: Paint;
  /** Cut no table cell short to fit the width; for readers that have no other form of it. */
  readonly whole?: boolean;
  /** How to say that there is more, given the cursor to it; by default as a flag of the command line. */
  readonly more?: (cursor: string) => string;
}

/** An artifact as text, without the final newline. What is to be copied is neither wrapped nor indented. */
export function artifactText(artifact: Artifact, options: ArtifactTextOptions): string {
  const { width, paint = noPaint, whole = false, more = (cursor) => `More: --cursor ${cursor}` } = options;
  const layout = { width, paint, whole, more };
  switch (artifact.type) {
    case 'text':
      return [joined(artifact.title, harmless(artifact.content), paint), ...rest(artifact, layout)].join('\n');
    case 'copy_paste_text':
      return [harmless(artifact.content), ...rest(artifact, layout)].join('\n');
    case 'table':
      return table(artifact, layout);
    case 'list':
      return list(artifact, layout);
    case 'presentation_card':
      return card(artifact, layout);
  }
}

type Layout = Required<ArtifactTextOptions>;

function joined(title: string | undefined, body: string, paint: Paint): string {
  return title === undefined ? body : `${paint.bold(harmless(title))}\n${body}`;
}

/** The last lines: how much is missing, and how to get it. */
function rest(
  artifact: { items?: unknown[]; count?: number; next_cursor?: string | undefined },
  layout: Layout,
): string[] {
  const lines: string[] = [];
  const { items = [], count = 0, next_cursor: cursor } = artifact;
  if (count > items.length) lines.push(layout.paint.dim(`${items.length} of ${count} shown.`));
  if (cursor !== undefined) lines.push(layout.paint.dim(layout.more(cursor)));
  return lines.length === 0 ? [] : ['', ...lines];
}

function table(artifact: TableArtifact, layout: Layout): string {
  const { paint } = layout;
  if (artifact.items.length === 0) return joined(artifact.title, artifact.empty ?? 'No items found.', paint);
  const notes = (artifact.notes ?? []).flatMap((note) => wrap(harmless(note), layout.width));
  const below = notes.length === 0 ? [] : ['', ...notes];
  const lines = [...renderTable(artifact, layout), ...below, ...rest(artifact, layout)];
  return joined(artifact.title, lines.join('\n'), paint);
}

function list(artifact: ListArtifact, layout: Layout): string {
  const { width, paint } = layout;
  if (artifact.items.length === 0) return joined(artifact.title, artifact.empty ?? 'No items found.', paint);
  const lines = artifact.items.flatMap((item) => [
    paint.bold(harmless(item.title)),
    ...(item.summary === undefined ? [] : indent(wrap(harmless(item.summary), width - 2))),
    ...(item.link === undefined ? [] : [`  ${paint.cyan(harmless(item.link))}`]),
  ]);
  return joined(artifact.title, [...lines, ...rest(artifact, layout)].join('\n'), paint);
}

function card(artifact: PresentationCardArtifact, { width, paint }: Layout): string {
  const head = [paint.bold(harmless(artifact.title))];
  if (artifact.subtitle !== undefined) head.push(...wrap(harmless(artifact.subtitle), width));
  const sections = artifact.sections.map((section) =>
    [paint.bold(harmless(section.heading)), ...indent(wrap(harmless(section.content), width - 2))].join('\n'),
  );
  return [head.join('\n'), ...sections].join('\n\n');
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}
