import { z } from 'zod';

/**
 * What a command or a tool returns: typed data that the terminal renders, `--json` serialises and MCP carries as
 * structured content. `type` tells them apart. Optional fields are absent, never null.
 */
export const columnTypes = ['string', 'integer', 'number', 'date', 'boolean', 'link', 'duration', 'bytes'] as const;

const cell = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const textArtifact = z.object({
  type: z.literal('text'),
  title: z.string().optional(),
  content: z.string(),
  /** The same facts for programs. */
  data: z.record(z.string(), z.unknown()).optional(),
  /** Set when `content` is one part of something longer. */
  next_cursor: z.string().optional(),
});

/** Text that is meant to be copied as it is: a token, a command, a snippet. */
export const copyPasteTextArtifact = z.object({
  type: z.literal('copy_paste_text'),
  title: z.string().optional(),
  content: z.string(),
  language: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
  next_cursor: z.string().optional(),
});

const tableHints = z.object({
  /** Names of columns; all when left out. */
  sortable_columns: z.array(z.string()).optional(),
  default_sort: z.object({ column: z.string(), order: z.enum(['asc', 'desc']) }).optional(),
  /** Whether to offer a filter; with more than ten rows when left out. */
  filterable: z.boolean().optional(),
  /** Rows at once; 50 when left out. */
  page_size: z.number().int().min(1).max(1000).optional(),
});

export const tableArtifact = z.object({
  type: z.literal('table'),
  title: z.string().optional(),
  columns: z.array(
    z.object({
      name: z.string(),
      label: z.string().optional(),
      /** `duration` is in milliseconds, `date` is ISO 8601 in UTC. */
      column_type: z.enum(columnTypes),
      /** Of numbers right, of anything else left unless told. */
      align: z.enum(['left', 'right', 'center']).optional(),
    }),
  ),
  items: z.array(z.record(z.string(), cell)),
  /** How many items there are in all; larger than `items.length` when `next_cursor` is set. */
  count: z.number().int().nonnegative(),
  next_cursor: z.string().optional(),
  /** What to say when there is nothing: `No agents found.` */
  empty: z.string().optional(),
  /** Sentences about items, shown below the table: too long for a cell. */
  notes: z.array(z.string()).optional(),
  /** How a page may show it; the terminal shows it as it comes. */
  hints: tableHints.optional(),
});

export const listArtifact = z.object({
  type: z.literal('list'),
  title: z.string().optional(),
  items: z.array(
    z.object({
      title: z.string(),
      summary: z.string().optional(),
      id: z.string().optional(),
      link: z.string().optional(),
      data: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  /** How many items there are in all. */
  count: z.number().int().nonnegative(),
  next_cursor: z.string().optional(),
  empty: z.string().optional(),
});

/** One thing shown in sections: the record of a call, a sign-in, what to do next. */
export const presentationCardArtifact = z.object({
  type: z.literal('presentation_card'),
  title: z.string(),
  subtitle: z.string().optional(),
  sections: z.array(z.object({ heading: z.string(), content: z.string() })),
  data: z.record(z.string(), z.unknown()).optional(),
});

/** Numbers along a line, each series beside the others: how much of something there was over time. */
export const chartArtifact = z.object({
  type: z.literal('chart'),
  title: z.string().optional(),
  /** The terminal shows each as bars. A pie has one series. */
  chart_type: z.enum(['bar', 'line', 'area', 'pie']),
  /** What each value stands at, from left to right; `date` is ISO 8601 in UTC, where its span begins. */
  labels: z.array(z.string()),
  label_type: z.enum(['string', 'date']),
  /** As many values as there are labels. */
  series: z.array(z.object({ name: z.string(), values: z.array(z.number()) })),
  data: z.record(z.string(), z.unknown()).optional(),
  /** What to say when there is nothing. */
  empty: z.string().optional(),
  /** Sentences shown below. */
  notes: z.array(z.string()).optional(),
});

export const artifactSchema = z.discriminatedUnion('type', [
  textArtifact,
  copyPasteTextArtifact,
  tableArtifact,
  listArtifact,
  presentationCardArtifact,
  chartArtifact,
]);

export type Artifact = z.infer<typeof artifactSchema>;
export type TableArtifact = z.infer<typeof tableArtifact>;
export type ListArtifact = z.infer<typeof listArtifact>;
export type TextArtifact = z.infer<typeof textArtifact>;
export type CopyPasteTextArtifact = z.infer<typeof copyPasteTextArtifact>;
export type ChartArtifact = z.infer<typeof chartArtifact>;
export type PresentationCardArtifact = z.infer<typeof presentationCardArtifact>;
