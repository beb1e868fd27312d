import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { McpHttpHandler } from '@modelcontextprotocol/server';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { probeHeader } from '../../lib/infra/process/health.ts';
import type { ReadinessCheck } from '../../lib/infra/process/readiness.ts';
import type { Vitals } from '../../lib/infra/process/vitals.ts';
import { type Identity, identityHeaderName, verifyIdentity } from '../../lib/infra/security/identity-header.ts';
import { AppError } from '../../lib/shared/errors.ts';
import type { Caller } from './context.ts';
import type { McpEnvironment } from './env.ts';

/** The header in which the router hands on a short-lived token of the caller, to servers with `delegate: true`. */
const tokenHeaderName = 'x-systemprompt-token';

export interface HttpDeps {
  readonly environment: McpEnvironment;
  readonly handler: McpHttpHandler;
  readonly logger: Logger;
  readonly maxBodyBytes: number;
  readonly version: string;
  readonly tools: number;
  readonly vitals: Vitals;
  /** Absent when the server is ready whenever it runs. */
  readonly readiness: ReadinessCheck | undefined;
  /** Whether the process is about to end. */
  readonly stopping: () => boolean;
}

/** How long a request may take to arrive in full, in ms: a body that never ends holds nothing for longer. */
const requestTimeoutMs = 60_000;
/** Longer than the router keeps idle connections, so that it is never the server that closes one just being used. */
const keepAliveMs = 75_000;

/**
 * The server's HTTP face: `/healthz` for the supervisor, `/mcp` for the router, and nothing for anybody who does not
 * bring an identity that the router signed for this very run of this server.
 */
export function createHttpServer(deps: HttpDeps): Server {
  const serve = toNodeHandler(deps.handler, {
    maxRequestBodySize: deps.maxBodyBytes,
    onerror: (error) => deps.logger.error({ err: error }, 'request failed'),
  });
  const server = createServer({ requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveMs }, (req, res) => {
    answer(req, res, deps, serve).catch((error: unknown) => {
      deps.logger.error({ err: error }, 'request failed');
      res.destroy();
    });
  });
  return server;
}

type Serve = ReturnType<typeof toNodeHandler>;

async function answer(req: IncomingMessage, res: ServerResponse, deps: HttpDeps, serve: Serve): Promise<void> {
  const path = req.url?.split('?', 1)[0];
  if (path === '/healthz' && (req.method === 'GET' || req.method === 'HEAD')) return health(req, res, deps);
  let identity: Identity;
  try {
    const { identityKey, instanceId } = deps.environment;
    identity = verifyIdentity(identityKey, req.headers[identityHeaderName], { instanceId });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    deps.logger.warn({ reason: error.data['reason'] }, 'request without a valid identity');
    res.setHeader('www-authenticate', identityHeaderName);
    return problem(res, 401, error.message, error.hint);
  }
  if (path !== '/mcp') return problem(res, 404, 'There is nothing here', 'The MCP endpoint is /mcp');
  const token = req.headers[tokenHeaderName];
  const caller: Caller = {
    identity,
    token: typeof token === 'string' && token !== '' ? token : undefined,
    gone: goneSignal(res),
  };
  // The SDK hands `auth` on to the tool as it is. The token travels beside it, out of reach of what may log `auth.token`.
  const { sub: clientId, exp: expiresAt, scopes } = identity;
  const auth = { token: '', clientId, scopes: [...scopes], expiresAt, extra: { caller } };
  // Node.js' own type has optional fields that may be undefined, the adapter's has not.
  await serve(Object.assign(req, { auth }) as Parameters<Serve>[0], res);
}

/**
 * Our own word of a caller's leaving: the signal of a web Request, which the SDK goes by, is held only weakly by what
 * aborts it, and says nothing once the Request was collected while its call went on.
 */
function goneSignal(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort();
  });
  return gone.signal;
}

async function health(req: IncomingMessage, res: ServerResponse, deps: HttpDeps): Promise<void> {
  const { environment, version, tools, vitals, readiness } = deps;
  const { instanceId } = environment;
  const able = deps.stopping() ? { ready: false, reason: 'it is stopping' } : await readiness?.current();
  const signs = vitals.read(req.headers[probeHeader] === instanceId);
  json(res, 200, 'application/json', { instanceId, pid: process.pid, version, tools, ...able, ...signs });
}

/** RFC 9457 */
function problem(res: ServerResponse, status: number, title: string, detail?: string): void {
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
