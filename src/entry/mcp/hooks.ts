import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../../lib/app/router/body.ts';
import { maxBodyBytes, problem, requestTimeoutMs } from '../../lib/app/server-door.ts';
import { inCall } from '../../lib/infra/logging/call-facts.ts';
import type { Logger } from '../../lib/infra/logging/logger.ts';
import type { ToolHookCall, ToolHookFunction } from '../../lib/shared/mcp/hook.ts';
import { toolLogger } from './context.ts';

/** Path of a server's hooks, before the name. */
export const hooksPath = '/hooks/';

/** Asks one of the server's hooks about a call; whoever asks has shown that it is the router. */
export async function answerHook(
  req: IncomingMessage,
  res: ServerResponse,
  hook: ToolHookFunction | undefined,
  deps: { readonly logger: Logger; readonly gone: AbortSignal },
): Promise<void> {
  if (hook === undefined) return problem(res, 404, 'The server has no such hook');
  if (req.method !== 'POST') return problem(res, 405, 'This address takes POST');
  const call = JSON.parse(
    (await readBody(req, { bytes: maxBodyBytes, timeoutMs: requestTimeoutMs })).toString('utf8'),
  ) as ToolHookCall;
  const facts = { tool: `hook of ${call.tool_name}`, execution: call.tool_use_id, user: call.user.id };
  let body: string;
  try {
    const context = { logger: toolLogger(deps.logger.child(facts)), signal: deps.gone };
    body = JSON.stringify(await inCall(facts, () => hook(call, context))) ?? '';
  } catch (error) {
    deps.logger.child(facts).error({ err: error }, 'hook failed');
    return problem(res, 500, 'The hook failed');
  }
  if (res.destroyed) return;
  res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body);
}
