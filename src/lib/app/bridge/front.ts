import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../../infra/logging/logger.ts';
import type { Readiness } from '../../infra/process/readiness.ts';
import type { Vitals } from '../../infra/process/vitals.ts';
import type { Identity } from '../../infra/security/identity-header.ts';
import { type AppError, toAppError } from '../../shared/errors.ts';
import type { Tracer } from '../../shared/tracing.ts';
import { endUnread, readBody } from '../router/body.ts';
import {
  admit,
  answerHealth,
  asksHealth,
  type DoorKey,
  keepAliveMs,
  maxBodyBytes,
  pathOf,
  problem,
  requestTimeoutMs,
} from '../server-door.ts';
import type { UpstreamCredentials } from './backend.ts';
import { credentialsHeaderName, readCredentials, refusalText, refusedHeaderName } from './credentials.ts';
import { errorAnswer } from './faults.ts';
import { JsonRpcMessage } from './message.ts';
import { sendJson } from './reply.ts';
import type { BridgeService } from './service.ts';
import { inBridgeSpan } from './tracing.ts';

export interface FrontDeps {
  readonly key: DoorKey;
  readonly service: BridgeService;
  readonly logger: Logger;
  readonly vitals: Vitals;
  readonly readiness: () => Promise<Readiness | undefined>;
  /** Makes spans of requests; none are made without. */
  readonly tracer?: Tracer | undefined;
}

const bodyLimits = { bytes: maxBodyBytes, timeoutMs: requestTimeoutMs };
const parseError = -32700;
const statuses: Partial<Record<AppError['code'], number>> = { TOO_LARGE: 413, TIMEOUT: 408, USAGE: 400 };

/**
 * The HTTP face of a bridge, to the router and the supervisor the same as that of a server of our own: `/healthz`, and
 * `/mcp` for who brings an identity that the router signed for this very run.
 */
export function createFront(deps: FrontDeps): Server {
  return createServer({ requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveMs }, (req, res) => {
    serve(req, res, deps).catch((error: unknown) => {
      deps.logger.error({ err: error }, 'request failed');
      res.destroy();
    });
  });
}

async function serve(req: IncomingMessage, res: ServerResponse, deps: FrontDeps): Promise<void> {
  const { key, service, vitals } = deps;
  if (asksHealth(req)) {
    return answerHealth(req, res, key, vitals, { tools: service.tools, readiness: await deps.readiness() });
  }
  const identity = admit(req, res, key, deps.logger);
  if (identity === undefined) return;
  if (pathOf(req) !== '/mcp') return problem(res, 404, 'There is nothing here', 'The MCP endpoint is /mcp');
  if (req.method === 'POST') return await post(req, res, identity, deps);
  if (req.method === 'GET' || req.method === 'DELETE') {
    let credentials: UpstreamCredentials | undefined;
    try {
      credentials = heardBy(res, readCredentials(req.headers[credentialsHeaderName]));
    } catch (thrown) {
      return sendJson(res, errorAnswer(null, thrown).text, {}, 400);
    }
    const listening = { req, res, identity, credentials };
    return req.method === 'GET' ? await service.get(listening) : await service.delete(listening);
  }
  res.setHeader('allow', 'POST, GET, DELETE');
  problem(res, 405, 'This address takes POST, GET and DELETE');
}

async function post(
  req: IncomingMessage,
  res: ServerResponse,
  identity: Identity,
  { service, tracer }: FrontDeps,
): Promise<void> {
  let body: Buffer;
  let credentials: UpstreamCredentials | undefined;
  try {
    credentials = heardBy(res, readCredentials(req.headers[credentialsHeaderName]));
    body = await readBody(req, bodyLimits);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'CANCELLED') return;
    sendJson(res, errorAnswer(null, error).text, { connection: 'close' }, statuses[error.code] ?? 500);
    return endUnread(req, res);
  }
  const message = JsonRpcMessage.parse(body.toString('utf8'));
  if (message === undefined) {
    return sendJson(res, JsonRpcMessage.error(null, parseError, 'The body is no JSON-RPC message.').text, {}, 400);
  }
  const posted = { req, res, body, message, identity, credentials };
  if (tracer === undefined) await service.post(posted);
  else await inBridgeSpan(tracer, req, res, message, () => service.post(posted));
}

/** A secret that a server elsewhere does not take is told to the API, with the answer to the request that it came with. */
function heardBy(res: ServerResponse, credentials: UpstreamCredentials | undefined): UpstreamCredentials | undefined {
  if (credentials === undefined || Object.keys(credentials.headers).length === 0) return credentials;
  return {
    ...credentials,
    onRefused: (status, challenge) => {
      if (!res.headersSent) res.setHeader(refusedHeaderName, refusalText(status, challenge));
    },
  };
}
