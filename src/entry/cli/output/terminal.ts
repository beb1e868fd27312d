import type {
  Artifact,
  ListArtifact,
  PresentationCardArtifact,
  TableArtifact,
} from '../../../lib/shared/artifact.ts';
import { style, type Style } from './style.ts';
import { renderTable } from './table.ts';
import { harmless, wrap } from './width.ts';

export interface TerminalOptions {
  /** Columns to fill. */
  readonly width: number;
  readonly colour: boolean;
}

/** An artifact as text for a person, without the final newline. What is to be copied is neither wrapped nor indented. */
export function renderTerminal(artifact: Artifact, options: TerminalOptions): string {
  const paint = style(options.colour);
  switch (artifact.type) {
    case 'text':
      return joined(artifact.title, harmless(artifact.content), paint);
    case 'copy_paste_text':
      return harmless(artifact.content);
    case 'table':
      return table(artifact, options, paint);
    case 'list':
      return list(artifact, options, paint);
    case 'presentation_card':
      return card(artifact, options, paint);
  }
}

function joined(title: string | undefined, body: string, paint: Style): string {
  return title === undefined ? body : `${paint.bold(harmless(title))}\n${body}`;
}

function table(artifact: TableArtifact, options: TerminalOptions, paint: Style): string {
  if (artifact.items.length === 0) return joined(artifact.title, artifact.empty ?? 'No items found.', paint);
  const lines = renderTable(artifact, options.width, paint);
  const hidden = artifact.count - artifact.items.length;
  if (hidden > 0) lines.push('', paint.dim(`${artifact.items.length} of ${artifact.count} shown.`));
  if (artifact.next_cursor !== undefined) {
    if (hidden <= 0) lines.push('');
    lines.push(paint.dim(`More: --cursor ${artifact.next_cursor}`));
  }
  return joined(artifact.title, lines.join('\n'), paint);
}

function list(artifact: ListArtifact, options: TerminalOptions, paint: Style): string {
  if (artifact.items.length === 0) return joined(artifact.title, artifact.empty ?? 'No items found.', paint);
  const lines = artifact.items.flatMap((item) => [
    paint.bold(harmless(item.title)),
    ...(item.summary === undefined ? [] : indent(wrap(harmless(item.summary), options.width - 2))),
    ...(item.link === undefined ? [] : [`  ${paint.cyan(harmless(item.link))}`]),
  ]);
  const hidden = artifact.count - artifact.items.length;
  if (hidden > 0) lines.push('', paint.dim(`${artifact.items.length} of ${artifact.count} shown.`));
  return joined(artifact.title, lines.join('\n'), paint);
}

function card(artifact: PresentationCardArtifact, options: TerminalOptions, paint: Style): string {
  const head = [paint.bold(harmless(artifact.title))];
  if (artifact.subtitle !== undefined) head.push(...wrap(harmless(artifact.subtitle), options.width));
  const sections = artifact.sections.map((section) =>
    [paint.bold(harmless(section.heading)), ...indent(wrap(harmless(section.content), options.width - 2))].join('\n'),
  );
  return [head.join('\n'), ...sections].join('\n\n');
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}
