import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runTool } from '../../infra/process/run-tool.ts';
import type { BootFile } from './service.ts';

/** A command of the service manager, and what became of it. */
export interface ManagerStep {
  readonly command: string;
  /** `due`: to be run by hand, since the manager does not run here (or is out of our reach). */
  readonly state: 'done' | 'due' | 'failed';
  readonly output: string;
}

const timeoutMs = 120_000;

/** What makes the manager know a new file; with `now` it starts the service as well. */
export function enabling(file: BootFile, now: boolean): string[][] {
  if (file.manager === 'launchd') {
    return now ? [['launchctl', 'bootstrap', domain(file), file.path]] : [];
  }
  const systemctl = ['systemctl', ...(file.scope === 'user' ? ['--user'] : [])];
  return [
    [...systemctl, 'daemon-reload'],
    [...systemctl, 'enable', ...(now ? ['--now'] : []), file.name],
  ];
}

/** What makes the manager stop and forget the service, before its file is removed. */
export function disabling(file: BootFile): string[][] {
  if (file.manager === 'launchd') return [['launchctl', 'bootout', `${domain(file)}/${file.name}`]];
  const systemctl = ['systemctl', ...(file.scope === 'user' ? ['--user'] : [])];
  return [
    [...systemctl, 'stop', file.name],
    [...systemctl, 'disable', file.name],
  ];
}

/**
 * What is left to be run by hand once the file and its links are gone: systemd would find nothing to disable any more.
 */
export function leftToDo(file: BootFile, steps: readonly ManagerStep[]): ManagerStep[] {
  const disable = disabling(file).at(-1)?.join(' ');
  return steps.filter(({ state, command }) => file.manager === 'launchd' || state !== 'due' || command !== disable);
}

/** The links by which the manager knows that a unit is enabled, for the targets that ours are wanted by. */
export function enablingLinks({ manager, path, name }: BootFile): string[] {
  if (manager === 'launchd') return [];
  return ['multi-user.target', 'default.target'].map((target) => join(dirname(path), `${target}.wants`, name));
}

/** What is due after the file is gone. */
export function forgetting(file: BootFile): string[][] {
  return file.manager === 'launchd'
    ? []
    : [['systemctl', ...(file.scope === 'user' ? ['--user'] : []), 'daemon-reload']];
}

function domain(file: BootFile): string {
  return file.scope === 'system' ? 'system' : `gui/${process.getuid?.() ?? 0}`;
}

/** Whether the manager runs and can be spoken to; sd_booted(3) for systemd. */
function managerRuns(file: BootFile, env: NodeJS.ProcessEnv): boolean {
  if (file.manager === 'launchd') return process.platform === 'darwin';
  if (!existsSync('/run/systemd/system')) return false;
  return file.scope === 'system' || runtimeDirOf(env) !== undefined;
}

/**
 * Where the manager of the user is spoken to. A shell that was not logged in to (su, sudo -u, cron) does not say; what pam_systemd(8)
 * makes for each user who is logged in, or lingers, is there all the same.
 */
export function runtimeDirOf(env: NodeJS.ProcessEnv, users = '/run/user'): string | undefined {
  const usual = `${users}/${process.getuid?.() ?? 0}`;
  return env['XDG_RUNTIME_DIR'] || (existsSync(usual) ? usual : undefined);
}

/** Runs the commands one after the other; after one that failed the rest is due. */
export async function runSteps(
  file: BootFile,
  commands: readonly (readonly string[])[],
  env: NodeJS.ProcessEnv,
): Promise<ManagerStep[]> {
  let going = managerRuns(file, env);
  const steps: ManagerStep[] = [];
  for (const words of commands) {
    const command = words.join(' ');
    if (!going) {
      steps.push({ command, state: 'due', output: '' });
      continue;
    }
    const output = await run(words, env).catch((error: Error) => error.message); // it is not in the PATH
    going = output === undefined;
    steps.push({ command, state: going ? 'done' : 'failed', output: output ?? '' });
  }
  return steps;
}

/** @returns what it said when it failed */
async function run([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const passed = ['PATH', 'HOME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'].flatMap((name) => {
    const value = name === 'XDG_RUNTIME_DIR' ? runtimeDirOf(env) : env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const { exitCode, stderr, timedOut } = await runTool({
    file,
    args,
    env: { ...Object.fromEntries(passed), LC_ALL: 'C' },
    cwd: '/',
    timeoutMs,
    maxOutputBytes: 4_000,
  });
  if (exitCode === 0) return undefined;
  return timedOut ? `no answer within ${timeoutMs / 1000} s` : stderr.trim() || `exit code ${exitCode}`;
}
