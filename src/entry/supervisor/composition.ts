import type { Identity } from '../../lib/app/identity.ts';
import type { ControlRoute } from '../../lib/app/supervisor/control.ts';
import type { BootSteps } from '../../lib/app/supervisor/supervisor.ts';
import type { McpServerConfig } from '../../lib/domain/mcp/index.ts';
import type { Instance } from '../../lib/infra/config/instance.ts';
import { packageRoot } from '../../lib/infra/config/package-root.ts';
import { loadProfile, type Profile, profileFile } from '../../lib/infra/config/profile.ts';
import type { SecretStore } from '../../lib/infra/config/secrets.ts';
import type { Database } from '../../lib/infra/database/connection.ts';
import type { ServiceSpec } from '../../lib/infra/process/spec.ts';
import { ConfigInvalidError, type ConfigIssue, PreconditionError } from '../../lib/shared/errors.ts';
import { lazyRoutes } from './lazy-routes.ts';

/** What the supervisor is put together from; each part is made when it is first needed. */
export class Composition {
  readonly instance: Instance;
  readonly #profileName: string;
  profile: Profile | undefined;
  servers: readonly McpServerConfig[] = [];
  #secrets: Promise<SecretStore> | undefined;
  #identity: Promise<Identity> | undefined;
  #app: Database | undefined;

  constructor(instance: Instance, profileName: string) {
    this.instance = instance;
    this.#profileName = profileName;
  }

  /** Where the API is reached; empty until the profile is read. */
  get url(): string {
    return this.profile?.server.external_url ?? '';
  }

  /**
   * Reads profile and servers.
   * @throws ConfigInvalidError with the findings of all files
   */
  async load(): Promise<{ profile: Profile; servers: readonly McpServerConfig[] }> {
    const { loadMcpServers } = await import('../../lib/domain/mcp/index.ts');
    const profile = await settle(loadProfile(this.instance, this.#profileName));
    const range = 'value' in profile ? { portRange: profile.value.ports.mcp } : {};
    const servers = await settle(loadMcpServers(this.instance.servicesDir, range));
    if ('value' in profile && 'value' in servers) {
      this.profile = profile.value;
      this.servers = servers.value;
      return { profile: profile.value, servers: servers.value };
    }
    const issues = [profile, servers].flatMap((result) => ('issues' in result ? result.issues : []));
    throw new ConfigInvalidError(issues);
  }

  secrets(): Promise<SecretStore> {
    this.#secrets ??= import('../../lib/infra/config/secrets.ts').then(({ openSecretStore }) =>
      openSecretStore(this.instance),
    );
    return this.#secrets;
  }

  /** Operations of the control socket beside the supervisor's own. */
  routes(): ControlRoute[] {
    return lazyRoutes(async () => {
      const { localLoginRoutes } = await import('../../lib/app/local-login.ts');
      const { signInServer } = await import('../../lib/app/identity.ts');
      return localLoginRoutes({
        identity: () => this.#openIdentity(),
        server: async (name) => {
          const found = this.servers.find((server) => server.name === name && server.enabled);
          return found === undefined ? undefined : signInServer(found);
        },
      });
    });
  }

  #openIdentity(): Promise<Identity> {
    this.#identity ??= this.#makeIdentity().catch((error: unknown) => {
      this.#identity = undefined; // the database may be there the next time
      throw error;
    });
    return this.#identity;
  }

  async #makeIdentity(): Promise<Identity> {
    const { profile } = this;
    if (profile === undefined)
      throw new PreconditionError('The system is still starting.', { next: ['infra services status'] });
    const [{ openIdentity }, { connectionFor }, { openDatabase }, secrets] = await Promise.all([
      import('../../lib/app/identity.ts'),
      import('../../lib/infra/database/connections.ts'),
      import('../../lib/infra/database/connection.ts'),
      this.secrets(),
    ]);
    const config = await connectionFor(this.instance, profile, secrets, 'app');
    this.#app ??= openDatabase(config, { poolSize: 2, applicationName: 'systemprompt supervisor identity' });
    return openIdentity({ database: this.#app, secrets, profile });
  }

  async close(): Promise<void> {
    const identity = await this.#identity?.catch(() => undefined); // what never opened needs no closing
    await identity?.close();
    await this.#app?.close();
  }
}

/** How a boot goes: validate everything, make the database ready, open it as its owner. */
export function bootSteps(composition: Composition): BootSteps {
  const { instance } = composition;
  return {
    async validate() {
      const { profile, servers } = await composition.load();
      const secrets = await composition.secrets();
      const { serviceSpecs } = await import('../../lib/app/supervisor/specs.ts');
      const { usesOwnServer } = await import('../../lib/infra/database/connections.ts');
      let database: ServiceSpec | undefined;
      if (!usesOwnServer(profile)) {
        const { embeddedPostgres } = await import('../../lib/infra/process/postgres.ts');
        const { limits } = profile.services.database;
        const { limitIssues, withLimits } = await import('../../lib/app/supervisor/with-limits.ts');
        const place = { file: profileFile(instance, profile.name), line: 1, column: 1 };
        // PostgreSQL refuses to run as root, and gets a user of its own then.
        const issues = limitIssues(limits, place, 'services.database.limits', process.getuid?.() === 0);
        if (issues.length > 0) throw new ConfigInvalidError(issues);
        database = withLimits(await embeddedPostgres(instance, secrets), limits);
      }
      const source = { instance, profile, secrets, servers, packageRoot: packageRoot(), env: process.env };
      return { database, services: serviceSpecs(source, database === undefined ? [] : [database.name]) };
    },
    async openStore() {
      const { profile } = composition;
      if (profile === undefined) throw new PreconditionError('The profile is not read.');
      const secrets = await composition.secrets();
      const { migrateInstance } = await import('../../lib/app/database-admin.ts');
      const { connectionFor } = await import('../../lib/infra/database/connections.ts');
      const { openDatabase } = await import('../../lib/infra/database/connection.ts');
      await migrateInstance(instance, profile, secrets);
      const owner = await connectionFor(instance, profile, secrets, 'owner');
      return openDatabase(owner, { poolSize: 2, applicationName: 'systemprompt supervisor' });
    },
  };
}

type Settled<T> = { readonly value: T } | { readonly issues: readonly ConfigIssue[] };

/** Findings are gathered; every other error ends the boot by itself. */
async function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { issues: error.issues };
    throw error;
  }
}
