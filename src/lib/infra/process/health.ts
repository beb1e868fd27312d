import { request } from 'node:http';
import type { ProbeContext, ProbeResult } from './spec.ts';

const bodyLimit = 64 * 1024;

/**
 * Asks `GET /healthz`. Ready only when the answer carries the id of the very run that was started: another
 * process on that port must not pass for it.
 * @param host where it listens, loopback unless told
 */
export async function httpHealth(context: ProbeContext, host = '127.0.0.1'): Promise<ProbeResult> {
  const { port, instanceId, pid } = context;
  if (port === undefined) return { ready: false, reason: 'it has no port' };
  let answer: { status: number; body: string };
  try {
    answer = await get(host, port, context.signal);
  } catch (error) {
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
  return { ready: true };
}

function get(host: string, port: number, signal: AbortSignal): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    // A connection of its own: one that is kept alive would still reach a process that no longer listens.
    const sent = request({ host, port, path: '/healthz', agent: false, signal }, (response) => {
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
