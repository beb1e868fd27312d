import type { Instance } from '../../infra/config/instance.ts';
import type { Profile } from '../../infra/config/profile.ts';
import { openSecretStore, type SecretStore } from '../../infra/config/secrets.ts';
import { connectionFor } from '../../infra/database/connections.ts';
import { withSession } from '../../infra/database/session.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import { readConfiguration, specsFor } from './configuration.ts';
import { DatabaseRecordFile } from './database-record.ts';
import { withKeptPort } from './kept-port.ts';
import { checkDependencies } from './order.ts';
import { defaultPolicy } from './policy.ts';
import { findOrphans, observe, planReconcile, type Recorded, type Step } from './reconcile.ts';
import { readServices } from './repository.ts';

export interface OfflinePlan {
  readonly steps: readonly Step[];
  /** What could not be looked at, as sentences. */
  readonly unseen: readonly string[];
}

/**
 * What the next start of an instance would do, while no supervisor runs. Changes nothing. Rows are seen only while the
 * database answers, be it an embedded one that a killed supervisor left behind.
 * @throws ConfigInvalidError with every finding
 */
export async function planStart(instance: Instance, profileName: string): Promise<OfflinePlan> {
  const configuration = await readConfiguration(instance, profileName, await withKeptPort(instance, process.env));
  const secrets = await openSecretStore(instance);
  const { database, services } = await specsFor(instance, configuration, secrets);
  const specs = [...(database === undefined ? [] : [database]), ...services];
  checkDependencies(specs);
  const recorded: Recorded[] = [];
  if (database !== undefined) {
    const { process: known } = await new DatabaseRecordFile(instance.runDir).read();
    if (known !== undefined) recorded.push({ ...known, name: database.name, desired: 'running' });
  }
  const rows = await rowsOf(instance, configuration.profile, secrets);
  if ('rows' in rows) recorded.push(...rows.rows);
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const observed = await Promise.all(
    recorded.map((entry) => observe(entry, byName.get(entry.name), instance.id, defaultPolicy)),
  );
  const known = observed.flatMap(({ ours, instanceId }) => (ours && instanceId !== undefined ? [instanceId] : []));
  const strays = await findOrphans(instance.id, new Set<string>(known));
  const steps = planReconcile(specs, observed);
  if ('unseen' in rows) {
    const names = [...new Set(strays.map(({ service }) => service))].filter((name) => name !== '');
    const alive =
      names.length === 0 ? '' : `; of ours ${names.join(', ')} still ${names.length === 1 ? 'runs' : 'run'}`;
    return { steps, unseen: [`${rows.unseen}${alive}`] };
  }
  return {
    unseen: [],
    steps: [
      ...strays.map(({ service, identity }): Step => {
        return { kind: 'end', name: service, reason: `process ${identity.pid} is on no record` };
      }),
      ...steps,
    ],
  };
}

async function rowsOf(
  instance: Instance,
  profile: Profile,
  secrets: SecretStore,
): Promise<{ readonly rows: readonly Recorded[] } | { readonly unseen: string }> {
  try {
    const owner = await connectionFor(instance, profile, secrets, 'owner');
    const rows = await withSession(owner, { applicationName: 'systemprompt cli' }, (session) =>
      readServices(session, instance.id),
    );
    return { rows: rows.filter(({ kind }) => kind !== 'database') };
  } catch (error) {
    if (!(error instanceof DatabaseUnavailableError)) throw error;
    return { unseen: `The database does not answer, so rows and what they say of running services were not seen` };
  }
}
