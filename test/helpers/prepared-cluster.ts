import { chmod, chown, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { copyCluster } from './throw-away-cluster.ts';

/**
 * Creates an instance whose database is a copy of the run's prepared cluster, so that its first start neither runs initdb nor
 * migrates. What a first start makes by itself is tested without this: services.e2e.test.ts, quick-start.e2e.test.ts.
 */
export async function createPreparedInstance(root: string, env: NodeJS.ProcessEnv = process.env): Promise<Instance> {
  const instance = await createLocalInstance(root, env);
  const { dataDir, superuserPassword } = inject('preparedCluster');
  const secrets = await openSecretStore(instance, env);
  // Removed first: the password is to be the first version of its secret, as that of any instance.
  await secrets.remove(['database.superuser']);
  await secrets.set('database.superuser', superuserPassword);
  await copyCluster(dataDir, await placeOf(instance));
  return instance;
}

/** Where the embedded server looks for the data of an instance (postgres-place.ts), which makes the folders above it likewise. */
async function placeOf(instance: Instance): Promise<string> {
  if (process.getuid?.() !== 0) return join(instance.dataDir, 'postgres');
  const folder = rootInstanceDir(instance.id);
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await mkdir(folder);
  await chmod(folder, 0o711);
  await chown(folder, 0, 0);
  return join(folder, 'data');
}
