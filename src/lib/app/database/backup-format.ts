import { z } from 'zod';

// A backup is one gzip stream (RFC 1952). Unpacked it begins with the line `systemprompt backup 1`; then come records, each a line
// of JSON. Behind a record of type `data` follow so many bytes of its table as it says. Described in docs/database.md.

export const magic = 'systemprompt backup 1\n';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();
const tableName = { schema: z.string(), name: z.string() };

const head = z.object({
  type: z.literal('head'),
  createdAt: z.iso.datetime(),
  /** Of systemprompt. */
  version: z.string(),
  serverVersion: z.string(),
  database: z.string(),
  /** What the core had applied, in the order of its extensions. */
  migrations: z.array(z.object({ extension: z.string(), name: z.string(), checksum: digest })),
});

/** The schema of an MCP server: how to make what is in it. The core's schemas are made by their migrations. */
const schema = z.object({
  type: z.literal('schema'),
  schema: z.string(),
  /** Name of the MCP server. */
  server: z.string(),
  /** Before the rows, and after them; in any order that works. */
  before: z.array(z.string()),
  after: z.array(z.string()),
});
const table = z.object({ type: z.literal('table'), ...tableName, columns: z.array(z.string()) });
const data = z.object({
  type: z.literal('data'),
  bytes: z
    .int()
    .min(1)
    .max(16 * 1024 * 1024),
});
const tableFacts = z.object({ ...tableName, rows: count, bytes: count, sha256: digest });
const end = tableFacts.extend({ type: z.literal('end') });
const sequence = z.object({ ...tableName, value: z.string().regex(/^-?\d+$/), called: z.boolean() });

/** The last record but one. */
const manifest = z.object({
  type: z.literal('manifest'),
  tables: z.array(tableFacts),
  sequences: z.array(sequence),
  /** What could not be taken along. */
  skipped: z.array(z.string()),
});
/** The last record: over everything before it. */
const sum = z.object({ type: z.literal('sum'), sha256: digest });

export const recordSchema = z.discriminatedUnion('type', [head, schema, table, data, end, manifest, sum]);

export type BackupRecord = z.infer<typeof recordSchema>;
export type BackupHead = z.infer<typeof head>;
export type SchemaRecord = z.infer<typeof schema>;
export type TableRecord = z.infer<typeof table>;
export type TableFacts = z.infer<typeof tableFacts>;
export type SequenceFacts = z.infer<typeof sequence>;
export type BackupManifest = z.infer<typeof manifest>;
