import { ApiUnavailableError } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { DatabaseStatus } from '../database-admin.ts';
import { requireGenuineApi } from '../genuine-api.ts';
import type { Finding } from './finding.ts';
import { statusNow } from './lock-check.ts';

const httpTimeoutMs = 3000;

export async function checkDatabase(context: CommandContext): Promise<Finding> {
  const { serverVersion, embedded, host, port } = await readDatabase(context);
  return { state: 'ok', detail: `PostgreSQL ${serverVersion}, ${embedded ? 'embedded' : `${host}:${port}`}` };
}

/** Whether the supervisor that runs here is the newest: one on another machine may have taken over. */
export async function checkEpoch(context: CommandContext): Promise<Finding> {
  const { newestEpoch } = await import('../database-admin.ts');
  const [instance, profile, secrets] = await Promise.all([context.instance(), context.profile(), context.secrets()]);
  const newest = await newestEpoch(instance, profile, secrets);
  const mine = (await statusNow(context))?.supervisor.epoch ?? 0;
  if (newest === undefined || newest.epoch === mine) return { state: 'ok', detail: `${mine}, the supervisor's own` };
  if (newest.epoch < mine) {
    return {
      state: 'fail',
      detail: `the database is older than the supervisor: it knows of ${newest.epoch}, the supervisor is at ${mine}; was it restored from a backup? Stop and start`,
      fix: 'infra services stop',
    };
  }
  const who = `supervisor ${newest.pid} on ${newest.host}`;
  return {
    state: 'fail',
    detail: `${newest.epoch} belongs to ${who}, which took over; ours is at ${mine}`,
    fix: 'infra services stop',
  };
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
  const port = services.find(({ kind, state }) => kind === 'api' && state === 'ready')?.port;
  if (port === undefined) return { state: 'fail', detail: 'it has no port', fix: 'infra services logs api' };
  const secure = (await context.profile()).server.https.certificate !== undefined;
  const local = `${secure ? 'https' : 'http'}://localhost:${port}`;
  try {
    const answered = await statusOf(`${local}/readyz`);
    if (answered === 200) return { state: 'ok', detail: `${url} is ready` };
    return { state: 'fail', detail: `${local}/readyz answered ${answered}`, fix: 'infra services logs api' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { state: 'fail', detail: `${local} can't be reached: ${reason}`, fix: 'infra services logs api' };
  }
}

/** Nothing is sent and nothing read but the status, so the certificate, which is for another name, is not looked at. */
async function statusOf(url: string): Promise<number | undefined> {
  // Looked up: a dynamic import of node:http in the built program has no named exports (scripts/lib/lazy-http.mjs).
  const secure = url.startsWith('https:');
  const { get } = secure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http');
  return await new Promise((done, fail) => {
    const options = { signal: AbortSignal.timeout(httpTimeoutMs), rejectUnauthorized: false, agent: false } as const;
    get(url, options, (response) => {
      response.resume();
      done(response.statusCode);
    }).once('error', fail);
  });
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
