import { lstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identify } from '../../infra/process/identity.ts';
import { readSupervisorFile } from '../../infra/process/launch.ts';
import { isNotRunning } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { InstanceStatus } from '../supervisor/status.ts';
import type { Finding } from './finding.ts';

const answerMs = 3_000;
/** Asked once a run of the checks: who does not answer is not waited for again and again. */
const answers = new WeakMap<CommandContext, Promise<InstanceStatus | 'none in time'>>();

/** Who holds the instance's lock, the control socket: the supervisor that runs, nobody, somebody who can't answer, a stranger. */
export async function checkSupervisor(context: CommandContext): Promise<Finding> {
  const instance = await context.instance();
  try {
    const status = await answer(context);
    if (status === 'none in time') {
      const pid = readSupervisorFile(instance)?.pid;
      const lives = pid !== undefined && (await identify(pid)) !== undefined;
      return {
        state: 'fail',
        detail: `${lives ? `supervisor ${pid}` : 'somebody'} holds ${instance.controlSocket} and does not answer; the services go on without it`,
        ...(lives ? { shell: `kill -9 ${pid}` } : { fix: 'infra services logs supervisor' }),
      };
    }
    return await judge(status);
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    const { leftBehind } = await import('../supervisor/left-behind.ts');
    const left = [...(await leftBehind(instance.id)).keys()];
    if (left.length > 0) {
      return {
        state: 'fail',
        detail: `it is gone; a start takes over ${left.join(', ')}`,
        fix: 'infra services start',
      };
    }
    const stale = lstatSync(instance.controlSocket, { throwIfNoEntry: false }) !== undefined;
    if (!stale) return { state: 'warn', detail: 'nothing is running', fix: 'infra services start' };
    const detail = `nothing is running; the last supervisor ended without a word and left ${instance.controlSocket}`;
    return { state: 'warn', detail, fix: 'infra services start' };
  }
}

async function judge({ supervisor, services }: InstanceStatus): Promise<Finding> {
  const { packageVersion } = await import('../../infra/config/package-root.ts');
  const detail = `pid ${supervisor.pid}, version ${supervisor.version}`;
  if (supervisor.version !== packageVersion()) {
    return {
      state: 'fail',
      detail: `${detail}, and this is ${packageVersion()}: stop and start again`,
      fix: 'infra services stop',
    };
  }
  const database = services.find(({ kind }) => kind === 'database');
  if (!supervisor.acting && supervisor.state === 'running' && database?.state === 'stopped') {
    const why = 'the database was stopped by name, and nothing can be started without it';
    return { state: 'warn', detail: `${detail}; ${why}`, fix: 'infra services start' };
  }
  if (!supervisor.acting)
    return { state: 'fail', detail: `${detail}; it waits for the database`, fix: 'infra services logs supervisor' };
  return { state: 'ok', detail: `${detail} holds the lock` };
}

/** How things are as far as the supervisor says so in time; that it doesn't is what {@link checkSupervisor} reports. */
export async function statusNow(context: CommandContext): Promise<InstanceStatus | undefined> {
  try {
    const status = await answer(context);
    return status === 'none in time' ? undefined : status;
  } catch {
    return undefined; // reported by the check of the lock
  }
}

function answer(context: CommandContext): Promise<InstanceStatus | 'none in time'> {
  const known = answers.get(context) ?? ask(context);
  answers.set(context, known);
  return known;
}

async function ask(context: CommandContext): Promise<InstanceStatus | 'none in time'> {
  const bound = new AbortController();
  const asked = (async () => await (await context.supervisor()).status())();
  asked.catch(() => undefined); // told by the race, or too late to matter
  const late = delay(answerMs, 'none in time' as const, { signal: bound.signal }).catch(() => 'none in time' as const);
  try {
    return await Promise.race([asked, late]);
  } finally {
    bound.abort();
  }
}
