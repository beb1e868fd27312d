import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiDependencies } from './dependencies.ts';
import { createGuard } from './guard.ts';
import { problemContentType, toAnswer, toProblem } from './problem.ts';

const requestIdForm = /^[A-Za-z0-9._:-]{8,128}$/;
const endpointForm = /^\/api\/v1\/mcp\/([a-z][a-z0-9-]{0,49})\/mcp(?:\?|$)/;
const methods = new Set(['POST', 'GET', 'DELETE']);

export type DoorDependencies = Pick<ApiDependencies, 'externalUrl' | 'logger' | 'mcp'>;

/** A sender's id is kept when it is one, so that its log and ours can be read together. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && requestIdForm.test(given) ? given : randomUUID();
}

/**
 * Takes the requests to MCP servers before the framework sees them: its routing, hooks, logger and objects cost as much
 * for each as the router itself (measured: without them an API process makes 1.4 times the calls). The same guard, id
 * and security headers as everywhere else. Gives back false for a request that is not its affair.
 */
export function createMcpDoor(deps: DoorDependencies): (request: IncomingMessage, response: ServerResponse) => boolean {
  const guard = createGuard(deps.externalUrl);
  const secure = deps.externalUrl.startsWith('https:');
  return (request, response) => {
    const server = methods.has(request.method ?? '') ? endpointForm.exec(request.url ?? '')?.[1] : undefined;
    if (server === undefined) return false;
    const id = requestIdOf(request);
    response.setHeader('x-request-id', id);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('content-security-policy', "default-src 'none';frame-ancestors 'none'");
    response.setHeader('referrer-policy', 'no-referrer');
    if (secure) response.setHeader('strict-transport-security', 'max-age=31536000; includeSubDomains');
    const refusal = guard({ rawHeaders: request.rawHeaders, localPort: request.socket.localPort });
    if (refusal === undefined) {
      void handleMcp(deps, request, response, server, id);
    } else {
      response.writeHead(refusal.status, { 'content-type': problemContentType });
      response.end(JSON.stringify(toProblem(refusal.error, id, refusal.status)));
    }
    return true;
  };
}

/** Lets the router answer; what it throws before it has answered becomes a problem document. Never rejects. */
export async function handleMcp(
  deps: Pick<ApiDependencies, 'logger' | 'mcp'>,
  request: IncomingMessage,
  response: ServerResponse,
  server: string,
  requestId: string,
): Promise<void> {
  try {
    await deps.mcp.handle(request, response, server);
  } catch (thrown) {
    const { error, status } = toAnswer(thrown);
    deps.logger.error({ err: thrown, code: error.code, server, reqId: requestId }, error.message);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': problemContentType });
    response.end(JSON.stringify(toProblem(error, requestId, status)));
  }
}
