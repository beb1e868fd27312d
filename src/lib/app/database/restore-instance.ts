import type { MigrationReport } from '../../infra/database/migrate.ts';
import { migrateInstance, provisionInstance } from '../database-admin.ts';
import type { DatabasePlace } from './connections.ts';
import { emptyDatabase } from './reset.ts';
import { prepareRestore, type RestorePlan, type RestoreRequest, restore } from './restore.ts';

/**
 * Makes the roles that a backup needs, puts it in the place of everything, and applies the migrations beyond it.
 * @throws as `restore` does, and `migrateInstance`: then the backup is in place at its own level
 */
export async function restoreInstance(
  place: DatabasePlace,
  plan: RestorePlan,
  request: RestoreRequest,
): Promise<MigrationReport> {
  const { instance, profile, secrets } = place;
  await provisionInstance(instance, profile, secrets);
  await prepareRestore(place, plan);
  await restore(place, plan, request);
  return await migrateInstance(instance, profile, secrets);
}

/** Takes everything away and applies all migrations anew. @throws as `emptyDatabase` does, and `migrateInstance` */
export async function resetInstance(place: DatabasePlace): Promise<MigrationReport> {
  const { instance, profile, secrets } = place;
  await provisionInstance(instance, profile, secrets);
  await emptyDatabase(place);
  return await migrateInstance(instance, profile, secrets);
}
