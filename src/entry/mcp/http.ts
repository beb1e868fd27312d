import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { McpHttpHandler } from '@modelcontextprotocol/server';
import {
  admit,
  answerHealth,
  asksHealth,
  keepAliveMs,
  pathOf,
  problem,
  requestTimeoutMs,
} from '../../lib/app/server-door.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import type { ReadinessCheck } from '../../lib/infra/process/readiness.ts';
import type { Vitals } from '../../lib/infra/process/vitals.ts';
import type { McpServerDefinition } from '../../lib/shared/mcp/server.ts';
import type { Caller } from './context.ts';
import type { McpEnvironment } from './env.ts';
import { answerHook, hooksPath } from './hooks.ts';

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
  /** What looks at calls of tools, by name. */
  readonly hooks: McpServerDefinition['hooks'];
  /** Absent when the server is ready whenever it runs. */
  readonly readiness: ReadinessCheck | undefined;
  /** Whether the process is about to end. */
  readonly stopping: () => boolean;
}

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
  const { environment, version, tools, vitals } = deps;
  if (asksHealth(req)) {
    const readiness = deps.stopping() ? { ready: false, reason: 'it is stopping' } : await deps.readiness?.current();
    return answerHealth(req, res, environment, vitals, { version, tools, readiness });
  }
  const identity = admit(req, res, environment, deps.logger);
  if (identity === undefined) return;
  const path = pathOf(req);
  if (path?.startsWith(hooksPath)) {
    const name = path.slice(hooksPath.length);
    const hook = deps.hooks !== undefined && Object.hasOwn(deps.hooks, name) ? deps.hooks[name] : undefined;
    return await answerHook(req, res, hook, { logger: deps.logger, gone: goneSignal(res) });
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
