import { connectionFor } from '../../infra/database/connections.ts';
import { coreRecord } from '../../infra/database/migration-state.ts';
import { type AppliedFile, appliedFiles, type MigrationHome } from '../../infra/database/rollback.ts';
import { NotFoundError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { coreMigrationsRoot } from '../database-admin.ts';
import { coreExtensions } from '../extensions/core.ts';
import { type ServerModule, type ServerPlace, serverHomes } from '../extensions/server-migrations.ts';

export interface RollbackWish {
  /** Of this extension alone. */
  readonly extension?: string | undefined;
  /** Down to this number, which stays. */
  readonly to?: number | undefined;
  /** So many of the last. */
  readonly steps: number;
}

/**
 * The migrations that a rollback is about, the last one first.
 * @throws NotFoundError with the nearest names for an extension that has none
 */
export async function planRollback(
  place: ServerPlace,
  servers: readonly ServerModule[],
  wish: RollbackWish,
): Promise<AppliedFile[]> {
  const core: MigrationHome = {
    connection: await connectionFor(place.instance, place.profile, place.secrets, 'owner'),
    extensions: coreExtensions,
    root: coreMigrationsRoot(),
    record: coreRecord,
  };
  const all = await appliedFiles([core, ...(await serverHomes(place, servers))]);
  const { extension, to, steps } = wish;
  const known = [...new Set(all.map(({ file }) => file.extension))].sort();
  if (extension !== undefined && !known.includes(extension)) {
    const [like] = nearest(extension, known);
    throw new NotFoundError(`No migration of an extension ${extension} is applied.`, {
      hint: like === undefined ? `There are migrations of ${known.join(', ')}.` : `Did you mean ${like}?`,
      next: ['infra db status'],
      data: { extension, extensions: known },
    });
  }
  const own = all.filter(({ file }) => extension === undefined || file.extension === extension);
  if (to === undefined) return own.slice(0, steps);
  return own.filter(({ file }) => Number.parseInt(file.name, 10) > to);
}
