import type { McpServerConfig } from '../domain/mcp/index.ts';
import { type ActiveProfile, activeProfile } from '../infra/config/active-profile.ts';
import type { Instance } from '../infra/config/instance.ts';
import type { Profile } from '../infra/config/profile.ts';
import type { SecretStore } from '../infra/config/secrets.ts';
import type { Database } from '../infra/database/connection.ts';
import type { Actor } from '../shared/actor.ts';
import { isNotRunning } from '../shared/errors.ts';
import { mayNeedRenewal } from './session-end.ts';
import type { SupervisorClient } from './supervisor/client.ts';
import type { InstanceStatus } from './supervisor/status.ts';

export interface CommandContextOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Name of the profile by flag or `SYSTEMPROMPT_PROFILE`; without it the active one is found as `activeProfile` says. */
  readonly profile: string | undefined;
}

/**
 * What one command needs of the system, each part built when it is first asked for and not at all otherwise: a command
 * that only talks to the supervisor never loads the database driver. Dispose of it when the command has ended.
 */
export class CommandContext implements AsyncDisposable {
  readonly options: CommandContextOptions;
  /** The caller when the command runs for somebody else through the MCP tool; set before the command starts. */
  actor: Actor | undefined;
  #instance: Promise<Instance> | undefined;
  #profile: Promise<Profile> | undefined;
  #secrets: Promise<SecretStore> | undefined;
  #supervisor: Promise<SupervisorClient> | undefined;
  #database: Promise<Database> | undefined;

  constructor(options: CommandContextOptions) {
    this.options = options;
  }

  /** The instance around the current folder, if there is one. */
  async findInstance(): Promise<Instance | undefined> {
    const { locateInstance } = await import('../infra/config/instance.ts');
    return await locateInstance(this.options.cwd, this.options.env, this.options.profile);
  }

  /**
   * The profile that the command means, and why.
   * @throws PreconditionError when there is no project, or a file that selects a profile is damaged
   */
  async activeProfile(): Promise<ActiveProfile> {
    const { requireProject } = await import('../infra/config/instance.ts');
    return activeProfile(await requireProject(this.options.cwd, this.options.env), this.options);
  }

  /** @throws PreconditionError when there is none */
  instance(): Promise<Instance> {
    this.#instance ??= import('../infra/config/instance.ts').then(({ requireInstance }) =>
      requireInstance(this.options.cwd, this.options.env, this.options.profile),
    );
    return this.#instance;
  }

  /** @throws ConfigInvalidError with every finding */
  profile(): Promise<Profile> {
    this.#profile ??= (async () => {
      const { loadProfile } = await import('../infra/config/profile.ts');
      return await loadProfile(await this.instance(), (await this.activeProfile()).name, this.options.env);
    })();
    return this.#profile;
  }

  /**
   * Refuses a profile that was asked for by name and is not there, for commands that never read it; no file is opened.
   *
   * @throws NotFoundError naming the profiles that there are; UsageError for what can't be a profile's name
   */
  async requireKnownProfile(): Promise<void> {
    const { profile } = this.options;
    if (profile === undefined) return;
    const { locateProject } = await import('../infra/config/instance.ts');
    const project = await locateProject(this.options.cwd, this.options.env);
    if (project === undefined) return;
    const { profileNames, requireProfile } = await import('../infra/config/profile.ts');
    if (!(await profileNames(project)).includes(profile)) await requireProfile(project, profile);
  }

  secrets(): Promise<SecretStore> {
    this.#secrets ??= (async () => {
      const { openSecretStore } = await import('../infra/config/secrets.ts');
      return await openSecretStore(await this.instance(), this.options.env);
    })();
    return this.#secrets;
  }

  /** @throws SupervisorUnavailableError when nothing runs */
  supervisor(): Promise<SupervisorClient> {
    this.#supervisor ??= (async () => {
      const { SupervisorClient } = await import('./supervisor/client.ts');
      const { controlSocket, runDir } = await this.instance();
      return await SupervisorClient.connect(controlSocket, runDir);
    })();
    return this.#supervisor;
  }

  /** How things are, when something runs. */
  async runningStatus(): Promise<InstanceStatus | undefined> {
    try {
      return await (await this.supervisor()).status();
    } catch (error) {
      if (isNotRunning(error)) return undefined;
      throw error;
    }
  }

  /** Where the instance is reached: as what runs says, since a start with `--port` outranks the profile; else by the profile. */
  async externalUrl(): Promise<string> {
    const running = (await this.runningStatus())?.url ?? '';
    return running === '' ? (await this.profile()).server.external_url : running;
  }

  /**
   * The database in the role of the application: never the owner's, never the audit writer's. For a caller of the MCP tool
   * who is no admin it shows that user's rows alone, whatever the command asks.
   */
  database(): Promise<Database> {
    this.#database ??= (async () => {
      const [{ connectionFor }, { openDatabase }] = await Promise.all([
        import('../infra/database/connections.ts'),
        import('../infra/database/connection.ts'),
      ]);
      const config = await connectionFor(await this.instance(), await this.profile(), await this.secrets(), 'app');
      const { actor } = this;
      const own = actor !== undefined && actor.permission !== 'admin';
      return openDatabase(config, {
        poolSize: 1,
        applicationName: 'systemprompt cli',
        actor: own ? actor.userId : 'system',
      });
    })();
    return this.#database;
  }

  /** The MCP servers of the configuration, as the profile's environment has them. @throws ConfigInvalidError with every finding */
  async mcpServers(): Promise<readonly McpServerConfig[]> {
    const { loadServices } = await import('./config/load-services.ts');
    const { runtime } = await this.profile();
    return (await loadServices(await this.instance(), { profile: { runtime } })).mcpServers;
  }

  /**
   * On whose behalf this command works: the caller of the MCP tool, else the local owner, since whoever can read the
   * instance's keys owns it.
   */
  async currentActor(): Promise<Actor> {
    if (this.actor !== undefined) return this.actor;
    const { UserService } = await import('../domain/users/index.ts');
    const owner = await new UserService(await this.database()).ensureOwner();
    return { userId: owner.id, userName: owner.name, scopes: owner.roles, permission: 'admin' };
  }

  /** Who a token belongs to, as the running instance says. */
  async actorOf(token: string): Promise<Actor> {
    const supervisor = await this.supervisor();
    return (await supervisor.request('POST', '/v1/actor', { token })) as Actor;
  }

  /**
   * Renews the kept sign-in when it is near its end and the command spoke to the supervisor anyway. The command has done its work
   * by then: what goes wrong here is told to nobody, and the sign-in ends when it would have ended.
   */
  async renewSession(): Promise<void> {
    if (this.#supervisor === undefined || this.actor !== undefined) return;
    try {
      const { projectDir } = await this.instance();
      const { name } = await this.activeProfile();
      if (!mayNeedRenewal(projectDir, name)) return;
      const { renewSession } = await import('./session-renewal.ts');
      await renewSession({ projectDir }, name, await this.#supervisor);
    } catch {
      // See above.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await Promise.allSettled([this.#supervisor, this.#database]);
    for (const part of open) if (part.status === 'fulfilled') await part.value?.close();
  }
}
