import { hasCode } from './identity.ts';
import { NoAnswerInTime, type ProbeAnswer } from './probe-connection.ts';
import { isShortage } from './shortage.ts';
import type { Circuits, ProbeContext, ProbeResult, ReportedHealth } from './spec.ts';

const reasonLimit = 300;
/** Tells a service that it is its supervisor who asks: facts that are kept from check to check begin anew. */
export const probeHeader = 'x-systemprompt-probe';

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
  const { port, instanceId, pid, connection, timeoutMs } = context;
  if (port === undefined) return { ready: false, reason: 'it has no port' };
  const address = typeof at === 'string' ? { host: at, port } : { path: at.socketPath };
  const host = typeof at === 'string' ? `${at}:${port}` : 'localhost';
  const request = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n${probeHeader}: ${instanceId}\r\n\r\n`;
  let answer: ProbeAnswer;
  try {
    answer = await connection.ask(address, request, timeoutMs);
  } catch (error) {
    if (isShortage(error)) throw error;
    if (error instanceof NoAnswerInTime) return { ready: false, reason: error.message };
    // ENOENT: of a socket in the file system.
    const refused = hasCode(error, 'ECONNREFUSED', 'ENOENT');
    return { ready: false, reason: `no answer (${messageOf(error)})`, ...(refused ? { refused } : {}) };
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

/** Only what has the right form counts; a program of somebody else's may say anything. */
function reported(health: Readonly<Record<string, unknown>>): ReportedHealth {
  const { ready, reason, tools, eventLoopDelayMs } = health;
  const circuits = circuitsIn(health['circuits']);
  return {
    ...(typeof ready === 'boolean' ? { ready } : {}),
    ...(typeof reason === 'string' ? { reason: reason.slice(0, reasonLimit) } : {}),
    ...(isCount(tools) ? { tools: Math.round(tools) } : {}),
    ...(isCount(eventLoopDelayMs) ? { eventLoopDelayMs } : {}),
    ...(circuits === undefined ? {} : { circuits }),
  };
}

function circuitsIn(value: unknown): Circuits | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const known = Object.entries(value).filter(([, state]) => state === 'open' || state === 'half_open');
  return known.length === 0 ? undefined : (Object.fromEntries(known) as Circuits);
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
