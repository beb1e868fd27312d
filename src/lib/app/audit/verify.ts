import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { keyIdOfPem, type Verification, verifyChain, verifyExport } from '../../domain/governance/index.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import { hasCode } from '../../infra/process/identity.ts';
import { NotFoundError, UsageError } from '../../shared/errors.ts';
import { keptAuditKeys } from './open-sealer.ts';

export interface VerifyRequest {
  readonly since?: Date | undefined;
  /** A file with a public key in PEM. */
  readonly keyFile?: string | undefined;
  /** `<number>:<hash>`, as a verification before has printed it. */
  readonly checkpoint?: string | undefined;
  readonly onProgress?: ((far: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Verifies the audit of a database. Unless a key is given, those that the instance keeps are trusted.
 * @throws UsageError, NotFoundError for what can't be a key or a checkpoint; DatabaseUnavailableError
 */
export async function verifyAudit(
  database: Database,
  secrets: Pick<SecretStore, 'version'>,
  request: VerifyRequest,
): Promise<Verification> {
  const noted = request.checkpoint === undefined ? undefined : readCheckpoint(request.checkpoint);
  const trusted =
    request.keyFile === undefined
      ? (await keptAuditKeys(secrets)).map(({ id }) => id)
      : [await trustedKey(request.keyFile)];
  return database.transaction(async (tx) => {
    // One moment, however long it takes: what is sealed meanwhile is not looked at.
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    await tx.query("SET LOCAL TIME ZONE 'UTC'");
    return verifyChain(tx, {
      since: request.since,
      trusted: trusted.length === 0 ? undefined : trusted,
      noted,
      signal: request.signal,
      onProgress: ({ segment, ofSegments, rows }) =>
        request.onProgress?.(`segment ${segment} of ${ofSegments}, ${rows} rows`),
    });
  });
}

/**
 * Verifies an export, without an instance and without a database.
 * @returns also how many rows were not asked for when it was made
 * @throws NotFoundError; UsageError for a file that is none
 */
export async function verifyAuditFile(
  file: string,
  request: Omit<VerifyRequest, 'since'>,
): Promise<Verification & { readonly absent: number }> {
  const noted = request.checkpoint === undefined ? undefined : readCheckpoint(request.checkpoint);
  const trusted = request.keyFile === undefined ? undefined : [await trustedKey(request.keyFile)];
  const stream = createReadStream(file);
  try {
    return await verifyExport(stream, {
      trusted,
      noted,
      signal: request.signal,
      onProgress: ({ segment, rows }) => request.onProgress?.(`segment ${segment}, ${rows} rows`),
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new NotFoundError(`There is no file ${file}`, { cause: error });
    throw error;
  } finally {
    stream.destroy();
  }
}

/** @throws UsageError */
function readCheckpoint(text: string): { readonly number: number; readonly hash: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new UsageError(`That is no checkpoint: ${text.slice(0, 80)}`, {
      hint: 'Give it as admin audit verify has printed it: a number, a colon and 64 hexadecimal digits',
    });
  }
  return { number: Number(match[1]), hash: match[2] };
}

/** @throws NotFoundError; PreconditionError when it holds no key. @returns its id */
async function trustedKey(file: string): Promise<string> {
  const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new NotFoundError(`There is no file ${file}`, { cause });
  });
  return keyIdOfPem(pem);
}
