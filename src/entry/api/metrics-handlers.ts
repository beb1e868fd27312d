import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import { metricsContentType, metricsPath } from '../../lib/infra/telemetry/content.ts';
import { type AppError, NotFoundError, toAppError, UsageError } from '../../lib/shared/errors.ts';
import { createGuard } from './guard.ts';
import { problemContentType, toAnswer, toProblem } from './problem.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const loopback = ['http://localhost', 'http://127.0.0.1', 'http://[::1]'] as const;

/**
 * What `telemetry.metrics_port` answers: the metrics and nothing else, without a sign-in. Whoever is on this machine may
 * ask; a page whose name was pointed at it may not.
 */
export function metricsPortHandler(port: number, scrape: () => Promise<string>, log: Logger): Handler {
  const [first, ...rest] = loopback.map((address) => `${address}:${port}`);
  const guard = createGuard([first ?? '', ...rest]);
  return (request, response) => {
    const { rawHeaders, socket, method, url } = request;
    const refusal = guard({ rawHeaders, localPort: socket.localPort, encrypted: false });
    if (refusal !== undefined) sendProblem(response, refusal.error, refusal.status);
    else if (pathOf(url) !== metricsPath) {
      sendProblem(response, new NotFoundError(`There is nothing here but ${metricsPath}`), 404);
    } else if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD').setHeader('connection', 'close');
      sendProblem(response, new UsageError('This address takes GET, HEAD'), 405);
    } else void sendText(response, scrape, log);
  };
}

/** What the socket of one process answers beside everything else: what this process measured, for those beside it. */
export function withOwnMetrics(handler: Handler, own: () => Promise<string>, log: Logger): Handler {
  return (request, response) => {
    if (request.method === 'GET' && request.url === metricsPath) void sendText(response, own, log);
    else handler(request, response);
  };
}

async function sendText(response: ServerResponse, text: () => Promise<string>, log: Logger): Promise<void> {
  try {
    const body = Buffer.from(await text());
    response.writeHead(200, {
      'content-type': metricsContentType,
      'content-length': body.length,
      'cache-control': 'no-store',
    });
    response.end(body);
  } catch (thrown) {
    log.error({ err: thrown }, 'The metrics could not be told');
    sendProblem(response, toAppError(thrown), toAnswer(thrown).status);
  }
}

function sendProblem(response: ServerResponse, error: AppError, status: number): void {
  response.writeHead(status, { 'content-type': problemContentType, 'cache-control': 'no-store' });
  response.end(JSON.stringify(toProblem(error, randomUUID(), status)));
}

function pathOf(url = ''): string {
  return url.split('?', 1)[0] ?? '';
}
