import { ApiUnavailableError } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { DatabaseStatus } from '../database-admin.ts';
import { requireGenuineApi } from '../genuine-api.ts';
import { isNotRunning } from '../supervisor/running.ts';
import type { Finding } from './finding.ts';

const httpTimeoutMs = 3000;

export async function checkSupervisor(context: CommandContext): Promise<Finding> {
  try {
    const { supervisor } = await (await context.supervisor()).status();
    const { packageVersion } = await import('../../infra/config/package-root.ts');
    const detail = `pid ${supervisor.pid}, version ${supervisor.version}`;
    if (supervisor.version !== packageVersion()) {
      return {
        state: 'fail',
        detail: `${detail}, and this is ${packageVersion()}: stop and start again`,
        fix: 'infra services stop',
      };
    }
    if (!supervisor.acting)
      return { state: 'fail', detail: `${detail}; it waits for the database`, fix: 'infra services logs supervisor' };
    return { state: 'ok', detail };
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    const { servicesLeftBehind } = await import('../supervisor/left-behind.ts');
    const left = await servicesLeftBehind((await context.instance()).id);
    if (left.length === 0) return { state: 'warn', detail: 'nothing is running', fix: 'infra services start' };
    const detail = `it is gone; a start takes over ${left.join(', ')}`;
    return { state: 'fail', detail, fix: 'infra services start' };
  }
}

/** Whether the API's port is ours, or free to become so. What runs may have been given another one than the profile's. */
export async function checkPort(context: CommandContext): Promise<Finding> {
  const { holderOf } = await import('../../infra/process/ports.ts');
  const running = await context.runningStatus();
  const api = running?.services.find((service) => service.name === 'api');
  const port = api?.port ?? (await context.profile()).server.port;
  const holder = await holderOf(port);
  if (holder === undefined) return { state: 'ok', detail: `${port} is free` };
  const { pid, command } = holder;
  if (pid !== undefined && pid === api?.pid) return { state: 'ok', detail: `${port} is served by pid ${pid}` };
  if (pid !== undefined) {
    const { markOf } = await import('../../infra/process/marker.ts');
    const mark = await markOf(pid);
    // What a killed supervisor left behind: the next start takes it over or ends it.
    if (mark?.installationId === (await context.instance()).id)
      return { state: 'ok', detail: `${port} is held by our own ${mark.service}, pid ${pid}` };
  }
  const who = [
    pid === undefined ? 'a process of another user' : `pid ${pid}`,
    ...(command === undefined ? [] : [command]),
  ];
  return {
    state: 'fail',
    detail: `${port} is taken by ${who.join(', ')}`,
    fix: 'infra services start --port <number>',
  };
}

export async function checkDatabase(context: CommandContext): Promise<Finding> {
  const { serverVersion, embedded, host, port } = await readDatabase(context);
  return { state: 'ok', detail: `PostgreSQL ${serverVersion}, ${embedded ? 'embedded' : `${host}:${port}`}` };
}

export async function checkMigrations(context: CommandContext): Promise<Finding> {
  const { extensions } = await readDatabase(context);
  const pending = extensions.reduce((sum, extension) => sum + extension.pending.length, 0);
  if (pending > 0) return { state: 'fail', detail: `${pending} are not applied`, fix: 'infra db migrate' };
  return { state: 'ok', detail: `${extensions.reduce((sum, extension) => sum + extension.applied.length, 0)} applied` };
}

async function readDatabase(context: CommandContext): Promise<DatabaseStatus> {
  const { databaseStatus } = await import('../database-admin.ts');
  const [instance, profile, secrets] = await Promise.all([context.instance(), context.profile(), context.secrets()]);
  return await databaseStatus(instance, profile, secrets);
}

export async function checkApi(context: CommandContext): Promise<Finding> {
  const status = await (await context.supervisor()).status();
  const { url, services } = status;
  try {
    await requireGenuineApi(status, AbortSignal.timeout(httpTimeoutMs));
  } catch (error) {
    if (!(error instanceof ApiUnavailableError)) throw error;
    return { state: 'fail', detail: error.message, fix: 'infra services logs api' };
  }
  const port = services.find((service) => service.name === 'api')?.port;
  if (port === undefined) return { state: 'fail', detail: 'it has no port', fix: 'infra services logs api' };
  const local = `http://localhost:${port}`;
  try {
    const response = await fetch(`${local}/readyz`, { signal: AbortSignal.timeout(httpTimeoutMs) });
    if (response.ok) return { state: 'ok', detail: `${url} is ready` };
    return { state: 'fail', detail: `${local}/readyz answered ${response.status}`, fix: 'infra services logs api' };
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return { state: 'fail', detail: `${local} can't be reached: ${reason}`, fix: 'infra services logs api' };
  }
}

export async function checkServices(context: CommandContext): Promise<Finding> {
  const { services } = await (await context.supervisor()).status();
  const bad = services.filter((service) => service.state !== 'ready');
  if (bad.length === 0) return { state: 'ok', detail: `${services.length} are ready` };
  const broken = bad.find((service) => service.state === 'failed' || service.state === 'unhealthy');
  return {
    state: broken === undefined ? 'warn' : 'fail',
    detail: bad
      .map((service) => `${service.name} is ${service.state}${service.lastError ? ` (${service.lastError})` : ''}`)
      .join(', '),
    fix: broken === undefined ? 'infra services start' : `infra services logs ${broken.name}`,
  };
}
