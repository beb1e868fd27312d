// The product's supervisor, as it is, over the benchmark's services: `node supervisor.js <plan.json>`.
import { readFileSync } from 'node:fs';
import { createControlServer } from '../../src/lib/app/supervisor/control.ts';
import { supervisorRoutes, supervisorStreams } from '../../src/lib/app/supervisor/control-routes.ts';
import { Journal } from '../../src/lib/app/supervisor/journal.ts';
import { bindControlSocket } from '../../src/lib/app/supervisor/lock.ts';
import { defaultPolicy } from '../../src/lib/app/supervisor/policy.ts';
import { Supervisor } from '../../src/lib/app/supervisor/supervisor.ts';
import { requireInstance } from '../../src/lib/infra/config/instance.ts';
import { ensureRuntimeDir } from '../../src/lib/infra/config/runtime-dir.ts';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { createLogger } from '../../src/lib/infra/logging/logger.ts';
import { httpHealth } from '../../src/lib/infra/process/health.ts';
import type { ServiceSpec } from '../../src/lib/infra/process/spec.ts';
import type { OwnPlan } from './own.ts';

const never = 2 ** 31 - 1;
const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as OwnPlan;
const instance = await requireInstance(plan.root, { SYSTEMPROMPT_ROOT: plan.root });
await ensureRuntimeDir(instance);
const log = createLogger({ service: 'supervisor', destination: 2 });
const supervisor = new Supervisor({
  installation: { id: instance.id, root: instance.root, logsDir: instance.logsDir, profile: 'local' },
  runDir: instance.runDir,
  version: 'bench',
  url: () => '',
  policy: plan.checks ? defaultPolicy : { ...defaultPolicy, livenessEveryMs: never, readinessEveryMs: never },
  journal: new Journal(),
  log,
});
const over = Promise.withResolvers<void>();
const stop = (now: boolean): void => {
  supervisor.shutdown(now).then(over.resolve, over.reject);
};
const server = createControlServer({
  routes: supervisorRoutes(supervisor, stop),
  streams: supervisorStreams(supervisor, () => {}),
  onFault: (error) => log.error({ err: error }, 'fault'),
});
const lock = await bindControlSocket(server, instance.controlSocket);

function spec({ name, port, kind }: OwnPlan['services'][number], dependsOn: readonly string[]): ServiceSpec {
  return {
    name,
    kind,
    dependsOn,
    port: { preferred: port, ...(kind === 'api' ? { shared: { loopback: true } } : {}) },
    handOver: kind === 'api',
    artefactHash: '1',
    configHash: '1',
    command: async () => ({
      file: process.execPath,
      args: [plan.program],
      env: { PATH: process.env['PATH'] ?? '', PORT: String(port), REUSE_PORT: kind === 'api' ? '1' : '0' },
      cwd: plan.root,
    }),
    probe: (context) => httpHealth(context),
    stop: { signal: 'SIGTERM', graceMs: 10_000 },
    readyTimeoutMs: 30_000,
  };
}

await supervisor.boot({
  async validate() {
    if (!plan.embedded) return { database: undefined, services: plan.services.map((service) => spec(service, [])) };
    const { embeddedPostgres } = await import('../../src/lib/infra/process/postgres.ts');
    const { openSecretStore } = await import('../../src/lib/infra/config/secrets.ts');
    const database = await embeddedPostgres(instance, await openSecretStore(instance));
    return { database, services: plan.services.map((service) => spec(service, [database.name])) };
  },
  async openStore() {
    const { openDatabase } = await import('../../src/lib/infra/database/connection.ts');
    return openDatabase(plan.database ?? (await prepareDatabase()), { poolSize: 2 });
  },
});
// As the product's own main does after the boot.
globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
await over.promise;
await lock.release();
process.exit(0);

/** As the product does after it has started PostgreSQL. */
async function prepareDatabase(): Promise<ConnectionConfig> {
  const [{ openSecretStore }, { loadProfile }, { migrateInstance }, { connectionFor }] = await Promise.all([
    import('../../src/lib/infra/config/secrets.ts'),
    import('../../src/lib/infra/config/profile.ts'),
    import('../../src/lib/app/database-admin.ts'),
    import('../../src/lib/infra/database/connections.ts'),
  ]);
  const secrets = await openSecretStore(instance);
  const profile = await loadProfile(instance, 'local', {});
  await migrateInstance(instance, profile, secrets);
  return connectionFor(instance, profile, secrets, 'owner');
}
