import {
  type AuditEntry,
  AuditReader,
  type ExportFilter,
  exportChain,
  unsealedTail,
} from '../../domain/governance/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { csvCell, writeExport } from '../export-file.ts';
import { toOcsf } from './ocsf.ts';

export const auditFormats = ['jsonl', 'csv', 'ocsf'] as const;
export type AuditFormat = (typeof auditFormats)[number];

export interface AuditExport {
  readonly filter: ExportFilter;
  readonly format: AuditFormat;
  readonly file: string;
  readonly overwrite: boolean;
  /** Of the product. */
  readonly version: string;
  readonly onProgress?: ((far: string) => void) | undefined;
}

const csvColumns: Readonly<Record<string, (entry: AuditEntry) => unknown>> = {
  started_at: ({ startedAt }) => startedAt.toISOString(),
  execution_id: ({ executionId }) => executionId,
  server: ({ server }) => server,
  tool: ({ tool }) => tool,
  user: ({ userName }) => userName,
  user_id: ({ userId }) => userId,
  session_id: ({ sessionId }) => sessionId,
  client: ({ client }) => client,
  decision: ({ decision }) => decision,
  required: ({ required }) => required.join(' '),
  held: ({ scopes }) => scopes.join(' '),
  status: ({ status }) => status,
  error: ({ error }) => error,
  latency_us: ({ latencyUs }) => latencyUs,
  upstream_us: ({ upstreamUs }) => upstreamUs,
  output_bytes: ({ outputBytes }) => outputBytes,
  output_sha256: ({ outputDigest }) => outputDigest,
  input_sha256: ({ inputDigest }) => inputDigest,
  input: ({ input }) => JSON.stringify(input),
  recorded_at: ({ recordedAt }) => recordedAt?.toISOString(),
};

/**
 * Writes the audit to a file, as it stands at one moment and in bounded memory: `jsonl` with the chain, to be verified
 * anywhere; `csv` and `ocsf` one tool call after another.
 * @returns how many lines and bytes; of the chain also how many rows it does not cover yet, which are not in the file
 * @throws UsageError, NotFoundError for the file; DatabaseUnavailableError
 */
export async function exportAudit(
  database: Database,
  actor: Actor,
  request: AuditExport,
): Promise<{ lines: number; bytes: number; unsealed: number }> {
  let lines = 0;
  return database.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    await tx.query("SET LOCAL TIME ZONE 'UTC'");
    const source =
      request.format === 'jsonl' ? exportChain(tx, request.filter) : calls(new AuditReader(tx), actor, request);
    const counted = async function* (): AsyncGenerator<string> {
      for await (const line of source) {
        lines += 1;
        if (lines % 1000 === 0) request.onProgress?.(`${lines} lines`);
        yield line;
      }
    };
    const bytes = await writeExport(counted(), request.file, request.overwrite);
    // In the same snapshot: what is not in the file is counted, none twice.
    const unsealed = request.format === 'jsonl' ? (await unsealedTail(tx)).rows : 0;
    return { lines, bytes, unsealed };
  });
}

async function* calls(reader: AuditReader, actor: Actor, request: AuditExport): AsyncGenerator<string> {
  const csv = request.format === 'csv';
  if (csv) yield `${Object.keys(csvColumns).join(',')}\r\n`;
  for await (const entry of reader.every(actor, request.filter)) {
    yield csv
      ? `${Object.values(csvColumns)
          .map((value) => csvCell(String(value(entry) ?? '')))
          .join(',')}\r\n`
      : `${JSON.stringify(toOcsf(entry, request.version))}\n`;
  }
}
