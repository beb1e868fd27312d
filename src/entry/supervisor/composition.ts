import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Identity } from '../../lib/app/identity.ts';
import type { ShownConfiguration } from '../../lib/app/supervisor/configuration.ts';
import type { BootSteps, Configured, KeptConfiguration } from '../../lib/app/supervisor/configured.ts';
import type { ControlRoute } from '../../lib/app/supervisor/control.ts';
import type { SpecSource } from '../../lib/app/supervisor/spec-parts.ts';
import type { McpServerConfig } from '../../lib/domain/mcp/index.ts';
import { type Instance, namedServicesDir, servicesDirOf } from '../../lib/infra/config/instance.ts';
import { type Profile, profileFile } from '../../lib/infra/config/profile.ts';
import type { SecretStore } from '../../lib/infra/config/secrets.ts';
import type { Database } from '../../lib/infra/database/connection.ts';
import { PreconditionError } from '../../lib/shared/errors.ts';
import { lazyRoutes } from './lazy-routes.ts';
import { Replaceable } from './replaceable.ts';

/** What the supervisor is put together from; each part is made when it is first needed. */
export class Composition {
  readonly instance: Instance;
  readonly #profileName: string;
  profile: Profile | undefined;
  /** Of `paths.services`, as the profile had it when it was last read. */
  #namedServices: string | undefined;
  servers: readonly McpServerConfig[] = [];
  /** The configuration in force as it can be shown, and when it was read. */
  #inForce: (ShownConfiguration & { readonly loadedAt: string }) | undefined;
  #secrets: Promise<SecretStore> | undefined;
  readonly #signIns = new Replaceable(
    () => this.#openSignIns(),
    async ({ identity, database }) => {
      await identity.close();
      await database.close();
    },
  );

  readonly #onSchemas: SpecSource['onSchemas'];

  /** @param onSchemas hears what became of the tables that servers declare */
  constructor(instance: Instance, profileName: string, onSchemas?: SpecSource['onSchemas']) {
    this.instance = instance;
    this.#profileName = profileName;
    this.#onSchemas = onSchemas;
  }

  /** Where the API is reached; empty until the profile is read. */
  get url(): string {
    return this.profile?.server.external_url ?? '';
  }

  /**
   * Reads all configuration; changes nothing before it is accepted.
   * @throws ConfigInvalidError with the findings of all files; PreconditionError for what only a new start can change
   */
  async configured(): Promise<Configured> {
    const { keepPort } = await import('../../lib/app/supervisor/kept-port.ts');
    const { keepProfile, readConfiguration, specsFor } = await import('../../lib/app/supervisor/configuration.ts');
    // The profile may name another folder than at the start, or the project have got a `services/` of its own.
    this.#namedServices = await namedServicesDir(this.instance, this.#profileName);
    const servicesDir = this.#namedServices ?? servicesDirOf(this.instance.root);
    const configuration = await readConfiguration({ ...this.instance, servicesDir }, this.#profileName);
    const { profile, servers, shown } = configuration;
    if (profile.tenant !== this.instance.tenant) {
      throw new PreconditionError('The profile names another tenant, which a running system does not change to.', {
        hint: 'Stop the system before its profile is given to another tenant.',
        next: ['infra services stop'],
      });
    }
    if (this.profile !== undefined && this.profile.database.url !== profile.database.url) {
      throw new PreconditionError('The profile names another database, which a running system does not change to.', {
        hint: 'Stop the system and start it again.',
        next: ['infra services stop', 'infra services start'],
      });
    }
    const specs = await specsFor(this.instance, configuration, await this.secrets(), this.#onSchemas);
    return {
      ...specs,
      manual: profile.runtime.apply_changes === 'manual',
      accept: async () => {
        const changed = JSON.stringify(this.profile) !== JSON.stringify(profile);
        this.profile = profile;
        this.servers = servers;
        this.#inForce = { ...shown, loadedAt: new Date().toISOString() };
        if (!changed) return;
        await keepProfile(this.instance, profile);
        await keepPort(this.instance, process.env);
        await this.#signIns.drop();
      },
    };
  }

  /** Goes by the profile that was last valid. */
  async kept(): Promise<KeptConfiguration | undefined> {
    const { databaseSpec, keptProfile } = await import('../../lib/app/supervisor/configuration.ts');
    const { apiProbe } = await import('../../lib/app/supervisor/specs.ts');
    const profile = await keptProfile(this.instance, this.#profileName);
    if (profile === undefined) return undefined;
    this.profile = profile;
    const database = await databaseSpec(this.instance, profile, await this.secrets());
    return { database, api: apiProbe(this.instance.runtimeDir) };
  }

  /** What the configuration is read from, and where more of it may appear. */
  get files(): string[] {
    const { root, dir } = this.instance;
    const profile = dirname(profileFile(this.instance, this.#profileName));
    const services =
      this.#namedServices === undefined ? [join(root, 'services'), servicesDirOf(root)] : [this.#namedServices];
    return [...new Set([...services, profile, join(dir, 'secrets.json')])];
  }

  secrets(): Promise<SecretStore> {
    this.#secrets ??= import('../../lib/infra/config/secrets.ts').then(({ openSecretStore }) =>
      openSecretStore(this.instance),
    );
    return this.#secrets;
  }

  /** Operations of the control socket beside the supervisor's own. */
  routes(): ControlRoute[] {
    const signIn = lazyRoutes(async () => {
      const { localLoginRoutes } = await import('../../lib/app/local-login.ts');
      const { signInServer } = await import('../../lib/app/identity.ts');
      return localLoginRoutes({
        identity: async () => (await this.#signIns.get()).identity,
        server: async (name) => {
          const found = this.servers.find((server) => server.name === name && server.enabled);
          return found === undefined ? undefined : signInServer(found, this.servers);
        },
      });
    });
    const configuration: ControlRoute = {
      method: 'GET',
      path: '/v1/configuration',
      input: z.strictObject({}),
      handle: async () => {
        if (this.#inForce !== undefined) return this.#inForce;
        throw new PreconditionError('No configuration has been in force yet.', { next: ['infra services status'] });
      },
    };
    const inUse = (route: ControlRoute): ControlRoute => ({
      ...route,
      handle: (input) => this.#signIns.during(() => route.handle(input)),
    });
    return [...signIn.map(inUse), configuration];
  }

  async #openSignIns(): Promise<{ readonly identity: Identity; readonly database: Database }> {
    const { profile } = this;
    if (profile === undefined)
      throw new PreconditionError('The system is still starting.', { next: ['infra services status'] });
    const [{ openIdentity }, { resourceServers }, { connectionFor }, { openDatabase }, secrets] = await Promise.all([
      import('../../lib/app/identity.ts'),
      import('../../lib/app/resources.ts'),
      import('../../lib/infra/database/connections.ts'),
      import('../../lib/infra/database/connection.ts'),
      this.secrets(),
    ]);
    const config = await connectionFor(this.instance, profile, secrets, 'app');
    const database = openDatabase(config, {
      poolSize: 2,
      applicationName: 'systemprompt supervisor identity',
      actor: 'system',
    });
    const resources = resourceServers(() => this.servers, {
      externalUrl: profile.server.external_url,
      maxTtlSeconds: profile.security.access_token_ttl_seconds,
    });
    try {
      return { identity: await openIdentity({ database, secrets, profile, resources }), database };
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#signIns.drop();
  }
}

/** How a boot goes: validate everything, make the database ready, open it as its owner. */
export function bootSteps(composition: Composition): BootSteps {
  const { instance } = composition;
  return {
    validate: () => composition.configured(),
    kept: () => composition.kept(),
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
