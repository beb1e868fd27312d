import type { Trace, TraceSpan } from '../../../lib/app/logs/trace.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** Of the picture, in columns: with the numbers beside it, it fits a terminal of 80. */
const pictureWidth = 24;

/** A waterfall: each span a line, with its place in the whole drawn; the same spans as rows for programs. */
export function traceTable({ id, spans, more }: Trace, missing: string | undefined): TableArtifact {
  const end = Math.max(0, ...spans.map(({ startMs, durationMs = 0 }) => startMs + durationMs));
  const unfinished = spans.some(({ kind, durationMs }) => kind === 'call' && durationMs === undefined);
  const notes = [
    ...(unfinished ? ['A call of it is not over, or was never recorded to be'] : []),
    ...(more ? [`More lines: infra logs search ${id}`] : []),
    ...(missing === undefined ? [] : [missing]),
  ];
  return {
    type: 'table',
    title: `Trace ${id}`,
    columns: [
      { name: 'span', column_type: 'string' },
      { name: 'service', column_type: 'string' },
      { name: 'start_ms', label: 'AT', column_type: 'duration' },
      { name: 'duration_ms', label: 'TOOK', column_type: 'duration' },
      { name: 'picture', label: 'WATERFALL', column_type: 'string' },
    ],
    items: spans.map((span) => ({
      span: `${span.parent === undefined ? '' : '└ '}${span.name.replaceAll(/\s+/g, ' ')}`,
      service: span.service,
      start_ms: span.startMs,
      duration_ms: span.durationMs ?? null,
      picture: drawn(span, end),
      span_id: span.id,
      parent_id: span.parent ?? null,
      kind: span.kind,
      name: span.name,
      at: span.at,
      status: span.status ?? null,
      execution_id: span.execution ?? null,
    })),
    count: spans.length,
    ...(notes.length === 0 ? {} : { notes }),
  };
}

/** `···███···`, a moment `···◆···`. Nothing is shorter than one column. */
function drawn({ startMs, durationMs }: TraceSpan, end: number): string {
  const column = (ms: number): number => (end === 0 ? 0 : Math.floor((ms / end) * pictureWidth));
  const from = Math.min(pictureWidth - 1, column(startMs));
  const to =
    durationMs === undefined ? from + 1 : Math.max(from + 1, Math.min(pictureWidth, column(startMs + durationMs)));
  const mark = durationMs === undefined ? '◆' : '█';
  return '·'.repeat(from) + mark.repeat(to - from) + '·'.repeat(pictureWidth - to);
}
