import { ApiUnavailableError } from '../shared/errors.ts';
import type { InstanceStatus, ServiceStatus } from './supervisor/status.ts';

const answerTimeoutMs = 3_000;
const answerLimit = 64 * 1024;

/**
 * Makes sure that what answers at the instance's address is its API, before a token is sent there: whoever took the port
 * while the API was away would get it. By https the server has proved itself by its certificate.
 *
 * @param signal ends the wait
 * @param again gives the status anew: the API may have been restarted since
 * @throws ApiUnavailableError when the API is not ready, or something else answers in its place
 */
export async function requireGenuineApi(
  status: InstanceStatus,
  signal: AbortSignal,
  again?: () => Promise<InstanceStatus | undefined>,
): Promise<void> {
  const apis = status.services.filter(({ kind }) => kind === 'api');
  if (!apis.some(({ state }) => state === 'ready')) throw notReady(apis[0]);
  const url = new URL(`${status.url}/healthz`);
  if (url.protocol === 'https:') return;
  // Any worker may answer, and during a hand-over the next or the last process of each.
  const answered = await instanceAt(url, signal);
  if (answered !== undefined && idsOf(apis).includes(answered)) return;
  const later = await again?.();
  if (answered !== undefined && later !== undefined && idsOf(later.services).includes(answered)) return;
  throw new ApiUnavailableError(`Another process answers at ${status.url} in place of the API; it was sent no token`, {
    hint: 'Find out what listens on that port, and end it',
    next: ['doctor', 'infra services status'],
  });
}

function idsOf(services: readonly ServiceStatus[]): (string | undefined)[] {
  const apis = services.filter(({ kind }) => kind === 'api');
  return apis.flatMap(({ instanceId, beside = [] }) => [instanceId, ...beside.map((run) => run.instanceId)]);
}

/** The id that whoever answers gives itself; `undefined` for an answer that is not one of ours. */
async function instanceAt(url: URL, signal: AbortSignal): Promise<string | undefined> {
  try {
    const bound = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]);
    const response = await fetch(url, { signal: bound, redirect: 'manual' });
    let text = '';
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      text += decoder.decode(part, { stream: true });
      if (text.length > answerLimit) return undefined;
    }
    return idIn(text);
  } catch (cause) {
    throw new ApiUnavailableError(`The API at ${url.origin} can't be reached`, {
      next: ['infra services status', 'infra services logs api'],
      cause,
    });
  }
}

function idIn(text: string): string | undefined {
  try {
    const health: unknown = JSON.parse(text);
    if (typeof health !== 'object' || health === null || !('instanceId' in health)) return undefined;
    return typeof health.instanceId === 'string' ? health.instanceId : undefined;
  } catch {
    return undefined; // whatever answers there is not ours
  }
}

function notReady(api: ServiceStatus | undefined): ApiUnavailableError {
  const why = api?.lastError === undefined ? '' : `: ${api.lastError}`;
  return new ApiUnavailableError(`The API is ${api?.state ?? 'not running'}${why}`, {
    hint: 'Nothing was sent',
    next: ['infra services start', 'infra services logs api'],
  });
}
