import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, readlink, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { syncFolder, writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { type InstanceSite, requireInstanceSite } from '../../infra/config/instance-site.ts';
import { requireProfile } from '../../infra/config/profile.ts';
import { recordedRuntimeDir } from '../../infra/config/runtime-dir.ts';
import { accountOf, barrierFor } from '../../infra/process/accounts.ts';
import { ConflictError, ForbiddenError, NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { disabling, enabling, enablingLinks, forgetting, leftToDo, type ManagerStep, runSteps } from './manager.ts';
import { isOurs } from './marker.ts';
import { type BootFile, type BootScope, bootFile, bootFileContent, servicePath, supervisorCommand } from './service.ts';

export interface InstallRequest {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** For root the whole machine's manager unless told, for all others their own. */
  readonly scope: BootScope | undefined;
  /** Root only: as whom it shall run. */
  readonly runAs: string | undefined;
  /** Of the flag; without it the active one. */
  readonly profile: string | undefined;
  /** It is only to be shown: who it would run as need not be settled. */
  readonly shownOnly?: boolean;
}

/** What an installation would write and run. */
export interface InstallPlan {
  readonly file: BootFile;
  readonly content: string;
  /** As whom the system will run. */
  readonly account: string;
  /** What stands in the place already: nothing, the same, or an older one of ours. */
  readonly present: 'absent' | 'same' | 'older';
  /** The system runs already, and not by this file: it is not started now. */
  readonly running: boolean;
  readonly commands: readonly (readonly string[])[];
  readonly hints: readonly string[];
}

/**
 * Looks at everything, changes nothing.
 * @throws PreconditionError without an instance, or for a file of somebody else in that place; UsageError for root that
 *   does not say as whom the system shall run; ForbiddenError; NotFoundError for an account or a profile that there is not
 */
export async function planInstall(request: InstallRequest): Promise<InstallPlan> {
  const site = await requireInstanceSite(request);
  await requireProfile(site, site.profile);
  const scope = request.scope ?? defaultScope();
  const account = await accountFor(request, site, scope);
  const file = bootFile(site.id, scope, request.env);
  const command = supervisorCommand();
  const content = bootFileContent(file, {
    instanceId: site.id,
    root: site.root,
    profile: site.profile,
    user: scope === 'system' ? account.name : undefined,
    command,
    path: servicePath(),
  });
  const found = await contentOf(file.path);
  if (found !== undefined && !isOurs(found, site.id)) throw foreignFile(file.path);
  const present = found === undefined ? 'absent' : found === content ? 'same' : 'older';
  const running = present === 'absent' && (await answers(site));
  const barriers = [command[0] ?? '', command.at(-2) ?? ''].flatMap((path) => {
    const barrier = barrierFor(account, path);
    return barrier === undefined
      ? []
      : [`${account.name} may not be able to read ${path}: see the rights of ${barrier}`];
  });
  return {
    file,
    content,
    account: account.name,
    present,
    running,
    commands: enabling(file, !running),
    hints: [
      ...unsaid(request, site),
      ...new Set(barriers),
      ...lingering(file, account.name),
      ...takeover(file, running),
    ],
  };
}

/** The files by which service managers of this machine start an instance. */
export function installedFiles(instanceId: string, env: NodeJS.ProcessEnv): BootFile[] {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return [];
  const files = (['system', 'user'] as const).map((scope) => bootFile(instanceId, scope, env));
  return files.filter(({ path }) => existsSync(path) && isOurs(readFileSync(path, 'utf8'), instanceId));
}

/** Writes the file and makes the manager know it. @throws the file system's error, PreconditionError */
export async function install(plan: InstallPlan, env: NodeJS.ProcessEnv): Promise<ManagerStep[]> {
  const { file, content } = plan;
  await mkdir(dirname(file.path), { recursive: true });
  if (plan.present !== 'same') await writeFileAtomic(file.path, content, 0o644);
  return await runSteps(file, plan.commands, env);
}

/**
 * The file that was installed for the instance.
 * @param scope both are looked at unless told
 * @param profile of the flag: the tenant that it names is meant
 * @throws NotFoundError when there is none; PreconditionError for a file of somebody else in its place
 */
export async function findInstalled(
  cwd: string,
  env: NodeJS.ProcessEnv,
  scope: BootScope | undefined,
  profile: string | undefined,
): Promise<BootFile> {
  const site = await requireInstanceSite({ cwd, env, profile });
  const scopes: readonly BootScope[] = scope === undefined ? ['system', 'user'] : [scope];
  const files = scopes.map((each) => bootFile(site.id, each, env));
  const file = files.find(({ path }) => existsSync(path));
  if (file === undefined) {
    throw new NotFoundError(
      `Nothing is installed for this instance: there is no ${files.map(({ path }) => path).join(' and no ')}.`,
      {
        next: ['infra services install'],
      },
    );
  }
  if (!isOurs(readFileSync(file.path, 'utf8'), site.id)) throw foreignFile(file.path);
  requireRight(file.scope, 'uninstall');
  return file;
}

/** Stops and disables the service where the manager runs, then removes the file. */
export async function uninstall(file: BootFile, env: NodeJS.ProcessEnv): Promise<ManagerStep[]> {
  const before = await runSteps(file, disabling(file), env);
  const failed = before.find(({ state }) => state === 'failed');
  if (failed !== undefined) {
    throw new ConflictError(`${failed.command} failed, and ${file.path} was left in its place: ${failed.output}`, {
      next: ['infra services status'],
    });
  }
  await rm(file.path);
  // Where the manager is out of reach nobody else takes them away, and it would complain of them at each boot.
  for (const link of enablingLinks(file)) if (await leadsTo(link, file)) await rm(link);
  await syncFolder(dirname(file.path));
  return [...leftToDo(file, before), ...(await runSteps(file, forgetting(file), env))];
}

async function leadsTo(link: string, file: BootFile): Promise<boolean> {
  const target = await readlink(link).catch(() => undefined); // there is none, or it is no link
  return target !== undefined && resolve(dirname(link), target) === file.path;
}

function defaultScope(): BootScope {
  return process.getuid?.() === 0 ? 'system' : 'user';
}

/** Nobody's system runs as root without somebody having said so. */
async function accountFor(request: InstallRequest, site: InstanceSite, scope: BootScope) {
  const { runAs } = request;
  const self = process.getuid?.() ?? 0;
  requireRight(scope, 'install');
  if (self !== 0 && runAs !== undefined) {
    throw new ForbiddenError('Only root can install what runs as another user.', {
      next: ['infra services install --user'],
    });
  }
  if (runAs === undefined && site.uid === 0 && request.shownOnly !== true) {
    throw new UsageError(`${site.root} belongs to root, and the system would run as root.`, {
      hint: 'Give the folder to an ordinary user (chown -R), or say that you want it, with the first',
      next: [asRoot(request), 'infra services install --dry-run'],
    });
  }
  const account = await accountOf(runAs ?? site.uid);
  if (account.uid !== site.uid) {
    throw new PreconditionError(
      `The instance in ${site.projectDir} belongs to the user with id ${site.uid}, and ${account.name} could not open it.`,
      { hint: `Hand it over: chown -R ${account.name}: ${site.projectDir}`, next: ['infra services install --help'] },
    );
  }
  if (scope === 'user' && account.uid !== self) {
    throw new UsageError(`A unit of the user ${account.name} is installed by that user, or as --system by root.`, {
      next: ['infra services install --system'],
    });
  }
  return account;
}

function asRoot({ scope }: InstallRequest): string {
  return `infra services install${scope === undefined ? '' : ` --${scope}`} --run-as root`;
}

/** Who only looks is told what an installation would ask for. */
function unsaid(request: InstallRequest, site: InstanceSite): string[] {
  if (request.runAs !== undefined || site.uid !== 0) return [];
  return [`${site.root} belongs to root, so it would run as root; to install it so: ${asRoot(request)}`];
}

function requireRight(scope: BootScope, what: 'install' | 'uninstall'): void {
  if (scope === 'user' || process.getuid?.() === 0) return;
  throw new ForbiddenError(`Only root can ${what} for the whole machine.`, {
    hint: 'Run it with sudo, or for yourself alone with --user',
    next: [`infra services ${what} --user`],
  });
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function foreignFile(path: string): PreconditionError {
  return new PreconditionError(`${path} was not written by systemprompt for this instance, and is left as it is.`, {
    hint: 'Look at it, and move it away if nobody needs it.',
    data: { path },
    next: ['infra services install --dry-run'],
  });
}

/** Whether a supervisor of the instance answers, whoever asks: the folder of its socket is on record under `run/`. */
async function answers(site: InstanceSite): Promise<boolean> {
  const dir = recordedRuntimeDir(join(site.dir, 'run'));
  if (dir === undefined) return false;
  return await new Promise((resolve) => {
    const socket = connect(join(dir, 'control.sock'));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The manager of a user ends with the last session of that user, unless it lingers (loginctl(1)). */
function lingering(file: BootFile, user: string): string[] {
  if (file.manager !== 'systemd' || file.scope !== 'user' || existsSync(`/var/lib/systemd/linger/${user}`)) return [];
  return [`To have it start at boot and go on after you log out: loginctl enable-linger ${user}`];
}

function takeover(file: BootFile, running: boolean): string[] {
  if (!running) return [];
  const start = enabling(file, true).at(-1)?.join(' ');
  return [`The system runs already, started by hand. To hand it over now, stop it, then: ${start}`];
}
