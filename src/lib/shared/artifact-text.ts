import type {
  Artifact,
  ChartArtifact,
  CopyPasteTextArtifact,
  ListArtifact,
  PresentationCardArtifact,
  TableArtifact,
} from './artifact.ts';
import { formatCell } from './text/cells.ts';
import { noPaint, type Paint } from './text/paint.ts';
import { sparkline } from './text/sparkline.ts';
import { renderTable } from './text/table.ts';
import { displayWidth, harmless, pad, wrap } from './text/width.ts';

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
      return [copied(artifact, paint), ...rest(artifact, layout)].join('\n');
    case 'table':
      return table(artifact, layout);
    case 'list':
      return list(artifact, layout);
    case 'presentation_card':
      return card(artifact, layout);
    case 'chart':
      return chart(artifact, layout);
  }
}

function copied({ content, language }: CopyPasteTextArtifact, paint: Paint): string {
  const text = harmless(content);
  return language === 'diff' ? text.split('\n').map(paint.diff).join('\n') : text;
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

/** Each series as a line of bars of its own height, with its sum and its largest value; below, where the line begins and ends. */
function chart({ title, series, labels, label_type: type, empty, notes = [] }: ChartArtifact, layout: Layout): string {
  const { width, paint } = layout;
  const below = notes.flatMap((note) => wrap(harmless(note), width));
  if (labels.length === 0) return joined(title, [empty ?? 'No values found.', ...below].join('\n'), paint);
  const names = series.map(({ name }) => harmless(name));
  const facts = series.map(({ values }) => {
    const sum = values.reduce((all, value) => all + value, 0);
    return `${sum}, ${Math.max(...values, 0)} at most`;
  });
  const [nameWidth, factWidth] = [names, facts].map((texts) => Math.max(0, ...texts.map(displayWidth)));
  const room = Math.max(1, width - (nameWidth ?? 0) - (factWidth ?? 0) - 4);
  const step = Math.ceil(labels.length / room);
  const lines = series.map(({ values }, index) => {
    const bars = sparkline(merged(values, step), Math.ceil(labels.length / step));
    return `${pad(names[index] ?? '', nameWidth ?? 0)}  ${bars}  ${facts[index]}`;
  });
  const ends = [labels[0], labels.at(-1)].map((label) => formatCell(harmless(label ?? ''), type));
  const axis = paint.dim([...new Set(ends)].join(' … '));
  return joined(title, [...lines, axis, ...(below.length === 0 ? [] : ['', ...below])].join('\n'), paint);
}

/** Sums of so many values in a row. */
function merged(values: readonly number[], step: number): number[] {
  const sums = new Array<number>(Math.ceil(values.length / step)).fill(0);
  for (const [index, value] of values.entries()) {
    const at = Math.floor(index / step);
    sums[at] = (sums[at] ?? 0) + value;
  }
  return sums;
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}
