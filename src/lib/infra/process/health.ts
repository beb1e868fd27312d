import { Agent, type RequestOptions, request } from 'node:http';
import { isShortage } from './shortage.ts';
import type { ProbeContext, ProbeResult, ReportedHealth } from './spec.ts';

const bodyLimit = 64 * 1024;
const reasonLimit = 300;
/** Tells a service that it is its supervisor who asks: facts that are kept from check to check begin anew. */
export const probeHeader = 'x-systemprompt-probe';

/** A check on an open connection costs the supervisor half of one that connects (0.09 to 0.24 ms, Node 24). */
const kept = new Agent({ keepAlive: true, maxFreeSockets: 1 });

/**
 * Asks `GET /healthz`. Ready only when the answer carries the id of the very run that was started: another
 * process on that port must not pass for it.
 * @param at a host where it listens on its port, loopback unless told, or a socket on which it alone answers
 * @throws the operating system's error when we are too short of something to ask ({@link isShortage})
 */
export async function httpHealth(
  context: ProbeContext,
  at: string | { readonly socketPath: string } = '127.0.0.1',
): Promise<ProbeResult> {
  const { port, instanceId, pid } = context;
  if (port === undefined) return { ready: false, reason: 'it has no port' };
  let answer: Answer;
  try {
    answer = await ask(typeof at === 'string' ? { host: at, port } : at, context);
  } catch (error) {
    if (isShortage(error)) throw error;
    return { ready: false, reason: context.signal.aborted ? 'no answer in time' : `no answer (${messageOf(error)})` };
  }
  if (answer.status !== 200) return { ready: false, reason: `/healthz answered ${answer.status}` };
  const health = parse(answer.body);
  if (health?.['instanceId'] !== instanceId) {
    return { ready: false, reason: `port ${port} is answered by another process` };
  }
  if (health['pid'] !== undefined && health['pid'] !== pid) {
    return { ready: false, reason: `port ${port} is answered by process ${String(health['pid'])}` };
  }
  return { ready: true, health: reported(health) };
}

type Address = { readonly host: string; readonly port: number } | { readonly socketPath: string };

async function ask(address: Address, { signal, instanceId, keptConnection }: ProbeContext): Promise<Answer> {
  const target = { ...address, signal, headers: { [probeHeader]: instanceId } };
  if (keptConnection === true) {
    try {
      return await get({ ...target, agent: kept });
    } catch (error) {
      // The other side may have closed it the moment before.
      if (signal.aborted || !(error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) throw error;
    }
  }
  // One of its own: a connection that is open still reaches a process that no longer listens.
  return get({ ...target, agent: false });
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function get(target: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...target, path: '/healthz' }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > bodyLimit) response.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Only what has the right form counts; a program of somebody else's may say anything. */
function reported({ ready, reason, tools, eventLoopDelayMs }: Readonly<Record<string, unknown>>): ReportedHealth {
  return {
    ...(typeof ready === 'boolean' ? { ready } : {}),
    ...(typeof reason === 'string' ? { reason: reason.slice(0, reasonLimit) } : {}),
    ...(isCount(tools) ? { tools: Math.round(tools) } : {}),
    ...(isCount(eventLoopDelayMs) ? { eventLoopDelayMs } : {}),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function parse(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // whatever answers there is not ours
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
