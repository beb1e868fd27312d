import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { supervisorEntry, supervisorNodeFlags } from '../../infra/process/launch.ts';
import { PreconditionError } from '../../shared/errors.ts';
import type { BootService } from './description.ts';
import { launchdPlist } from './launchd-plist.ts';
import { systemdUnit } from './systemd-unit.ts';

/** Of the whole machine, or of one user. */
export type BootScope = 'system' | 'user';

/** The file that tells a service manager of an instance. */
export interface BootFile {
  readonly manager: 'systemd' | 'launchd';
  readonly scope: BootScope;
  /** Name of the unit, label of the job. */
  readonly name: string;
  readonly path: string;
}

/**
 * The command line that a service manager runs: the supervisor's own program, so that the process it watches, signals and
 * waits for is the supervisor and no command in front of it.
 *
 * @throws PreconditionError when it is not built
 */
export function supervisorCommand(): string[] {
  return [process.execPath, ...supervisorNodeFlags, supervisorEntry(), '--log-file'];
}

/** The `PATH` of a unit: this Node.js first, then where systems keep their programs. Not the installing shell's. */
export function servicePath(): string {
  const usual = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return [...new Set([dirname(process.execPath), ...usual])].join(':');
}

/**
 * Where the file of an instance belongs. @throws PreconditionError on a system without systemd or launchd
 */
export function bootFile(
  instanceId: string,
  scope: BootScope,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): BootFile {
  const short = instanceId.slice(0, 8);
  if (platform === 'darwin') {
    const name = `ai.systemprompt.${short}`;
    const folder = scope === 'system' ? '/Library/LaunchDaemons' : join(homedir(), 'Library', 'LaunchAgents');
    return { manager: 'launchd', scope, name, path: join(folder, `${name}.plist`) };
  }
  if (platform !== 'linux') {
    throw new PreconditionError(`Starting at boot is not supported on ${platform}.`, {
      hint: 'Have your system run it at boot in its own way',
      next: ['infra services start --help'],
    });
  }
  const config = env['XDG_CONFIG_HOME']?.startsWith('/') ? env['XDG_CONFIG_HOME'] : join(homedir(), '.config');
  const folder = scope === 'system' ? '/etc/systemd/system' : join(config, 'systemd', 'user');
  const name = `systemprompt-${short}.service`;
  return { manager: 'systemd', scope, name, path: join(folder, name) };
}

/** The content of the file. @throws PreconditionError for a path that no such file can hold */
export function bootFileContent(file: Pick<BootFile, 'manager' | 'name'>, service: BootService): string {
  for (const text of [service.root, service.profile, service.path, ...service.command]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\x00-\x1f\x7f]/.test(text)) {
      throw new PreconditionError(`The path ${JSON.stringify(text)} holds control characters.`, {
        hint: 'Move the project to a folder with an ordinary name.',
        next: ['infra services install --help'],
      });
    }
  }
  return file.manager === 'systemd' ? systemdUnit(service) : launchdPlist(service, file.name);
}
