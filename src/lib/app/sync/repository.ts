import type { Queryable } from '../../infra/database/connection.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { type Body, bodyOf, isFilePath, isOfKind, type SyncKind } from './files.ts';
import type { ConfigurationStoreRow, ConfigurationVersionsRow } from './tables.ts';

/** What is written: a version, and whether it holds from now on. */
export interface NewVersion {
  readonly path: string;
  /** Absent: the file is deleted. */
  readonly body: Body | undefined;
  readonly origin: 'files' | 'database' | 'merge';
  readonly prevailed: boolean;
  readonly by: string;
}

/** A version as it is listed. */
export type VersionRow = Pick<
  ConfigurationVersionsRow,
  'path' | 'version' | 'digest' | 'origin' | 'prevailed' | 'written_at' | 'written_by'
> & { readonly bytes: number | null; readonly current: boolean };

/** Which database this is, over backups and copies; its rows are locked until the transaction ends. */
export async function lockStore(tx: Queryable): Promise<string> {
  const [row] = await tx.query<Pick<ConfigurationStoreRow, 'id'>>('SELECT id FROM configuration_store');
  // One sync at a time; the key is that of nothing else of ours.
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('systemprompt.configuration', 0))");
  if (row === undefined) throw new Error('configuration_store is empty');
  return row.id;
}

/**
 * The bodies that hold, by path; deleted ones are left out.
 * @throws PreconditionError for a path that no file of `services/` can have
 */
export async function currentBodies(tx: Queryable, kind: SyncKind): Promise<Map<string, Body>> {
  const rows = await tx.query<{ path: string; body: Buffer }>(
    `SELECT f.path, v.body FROM configuration_files f JOIN configuration_versions v USING (path, version)
     WHERE v.body IS NOT NULL AND ($1 = 'all' OR starts_with(f.path, $1 || '/')) ORDER BY f.path`,
    [kind],
  );
  const strange = rows.find(({ path }) => !isFilePath(path));
  if (strange !== undefined) {
    throw new PreconditionError(
      `The database has a file that can't lie in services/: ${JSON.stringify(strange.path.slice(0, 200))}.`,
      {
        hint: 'Nothing was changed. No sync has written it: find out who did, then remove its row from configuration_files.',
        data: { path: strange.path.slice(0, 1000) },
      },
    );
  }
  return new Map(rows.filter(({ path }) => isOfKind(path, kind)).map(({ path, body }) => [path, bodyOf(body)]));
}

/** A body that once was there. */
export async function bodyByDigest(tx: Queryable, path: string, digest: string): Promise<Body | undefined> {
  const [row] = await tx.query<{ body: Buffer }>(
    'SELECT body FROM configuration_versions WHERE path = $1 AND digest = $2 LIMIT 1',
    [path, digest],
  );
  return row === undefined ? undefined : bodyOf(row.body);
}

/** Adds a version. @returns its number */
export async function addVersion(tx: Queryable, { path, body, origin, prevailed, by }: NewVersion): Promise<number> {
  const [row] = await tx.query<{ version: number }>(
    `INSERT INTO configuration_versions (path, version, digest, body, origin, prevailed, written_by)
     SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6 FROM configuration_versions WHERE path = $1
     RETURNING version`,
    [path, body?.digest ?? null, body === undefined ? null : Buffer.from(body.bytes), origin, prevailed, by],
  );
  const version = row?.version ?? 0;
  if (prevailed) {
    await tx.query(
      `INSERT INTO configuration_files (path, version) VALUES ($1, $2)
       ON CONFLICT (path) DO UPDATE SET version = excluded.version`,
      [path, version],
    );
  }
  return version;
}

/** The versions of one path, or the current ones of all, the newest first. */
export async function listVersions(db: Queryable, path: string | undefined, limit: number): Promise<VersionRow[]> {
  return await db.query<VersionRow>(
    `SELECT v.path, v.version, v.digest, v.origin, v.prevailed, v.written_at, v.written_by, length(v.body) AS bytes,
       f.version IS NOT NULL AS current
     FROM configuration_versions v LEFT JOIN configuration_files f USING (path, version)
     WHERE CASE WHEN $1::text IS NULL THEN f.version IS NOT NULL ELSE v.path = $1 END
     ORDER BY CASE WHEN $1::text IS NULL THEN v.path END, v.version DESC LIMIT $2`,
    [path ?? null, limit],
  );
}

export async function versionBody(db: Queryable, path: string, version: number): Promise<Body | undefined> {
  const [row] = await db.query<{ body: Buffer | null }>(
    'SELECT body FROM configuration_versions WHERE path = $1 AND version = $2',
    [path, version],
  );
  return row?.body === undefined || row.body === null ? undefined : bodyOf(row.body);
}
