import type { KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../infra/logging/logger.ts';
import { probeHeader } from '../infra/process/health.ts';
import type { Readiness } from '../infra/process/readiness.ts';
import type { Vitals } from '../infra/process/vitals.ts';
import { type Identity, identityHeaderName, verifyIdentity } from '../infra/security/identity-header.ts';
import { AppError } from '../shared/errors.ts';
import type { ServiceInstanceId } from '../shared/ids.ts';

/** How long a request may take to arrive in full, in ms: a body that never ends holds nothing for longer. */
export const requestTimeoutMs = 60_000;
/**
 * How long the router keeps an idle connection at most, in ms, whatever the server offers: a request that meets a
 * connection being closed can't be sent again.
 */
export const idleConnectionMs = 60_000;
/** So much longer does a server keep one that it is never the one to close it, be the router late by seconds. */
export const keepAliveMs = idleConnectionMs + 15_000;
/** Bytes of one request's body; the router takes no more either. */
export const maxBodyBytes = 10 * 1024 * 1024;

/** Which run of which server this process is, and the key by which it knows the router. */
export interface DoorKey {
  readonly identityKey: Uint8Array | KeyObject;
  readonly instanceId: ServiceInstanceId;
}

/** Who calls; whoever does not come through the router is refused here, and nothing is returned. */
export function admit(req: IncomingMessage, res: ServerResponse, key: DoorKey, logger: Logger): Identity | undefined {
  try {
    const { identityKey, instanceId } = key;
    return verifyIdentity(identityKey, req.headers[identityHeaderName], { instanceId });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    logger.warn({ reason: error.data['reason'] }, 'request without a valid identity');
    res.setHeader('www-authenticate', identityHeaderName);
    problem(res, 401, error.message, error.hint);
    return undefined;
  }
}

/** What `/healthz` says beside the signs of life. */
export interface HealthFacts {
  readonly version?: string;
  readonly tools?: number | undefined;
  readonly readiness?: Readiness | undefined;
}

/** Whether the request is the supervisor's question after health. */
export function asksHealth(req: IncomingMessage): boolean {
  return pathOf(req) === '/healthz' && (req.method === 'GET' || req.method === 'HEAD');
}

export function pathOf(req: IncomingMessage): string | undefined {
  return req.url?.split('?', 1)[0];
}

export function answerHealth(
  req: IncomingMessage,
  res: ServerResponse,
  { instanceId }: Pick<DoorKey, 'instanceId'>,
  vitals: Vitals,
  { readiness, ...facts }: HealthFacts,
): void {
  const signs = vitals.read(req.headers[probeHeader] === instanceId);
  json(res, 200, 'application/json', { instanceId, pid: process.pid, ...facts, ...readiness, ...signs });
}

/** RFC 9457 */
export function problem(res: ServerResponse, status: number, title: string, detail?: string): void {
  // The body, if there is one, is not read: the connection can't be used again.
  res.setHeader('connection', 'close');
  json(res, status, 'application/problem+json', { title, status, ...(detail === undefined ? {} : { detail }) });
}

function json(res: ServerResponse, status: number, type: string, value: unknown): void {
  const body = JSON.stringify(value);
  res.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  res.end(body);
}
