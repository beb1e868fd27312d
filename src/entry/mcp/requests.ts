import { ProtocolError, ProtocolErrorCode, type ServerContext } from '@modelcontextprotocol/server';
import { type CallFacts, inCall } from '../../lib/infra/logging/call-facts.ts';
import { type ExecutionId, newId } from '../../lib/shared/ids.ts';
import type { RequestContext } from '../../lib/shared/mcp/context.ts';
import { callerOf, factsOf, requestContext } from './context.ts';
import type { ProtocolDeps } from './deps.ts';
import { failureOf, isRaisedOnPurpose, withoutSecrets } from './result.ts';
import { inRequestSpan } from './tracing.ts';

/**
 * Serves a request that is no tool call: a prompt, a resource, a completion.
 * @param subject what the log calls it, such as `prompt greeting`
 * @throws ProtocolError: what was thrown on purpose in its own words, any fault as no more than the id in the log
 */
export async function serveRequest<T>(
  subject: string,
  protocol: ServerContext,
  deps: ProtocolDeps,
  work: (context: RequestContext) => T | Promise<T>,
): Promise<T> {
  const caller = callerOf(protocol.http?.authInfo?.extra);
  const mcpSession = protocol.http?.req?.headers.get('mcp-session-id') ?? undefined;
  const key = { identity: caller.identity, mcpSession, requestId: protocol.mcpReq.id };
  return await deps.calls.run(key, [caller.gone, protocol.mcpReq.signal], async (signal) => {
    const executionId = caller.identity.exec ?? newId<ExecutionId>();
    const context = requestContext({ subject, executionId, caller, signal, protocol, deps });
    const facts = factsOf(subject, executionId, protocol);
    try {
      return await inRequestSpan(deps.tracer, protocol, { execution: executionId }, async () =>
        inCall(facts, () => work(context)),
      );
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      throw refusal(error, signal.aborted, executionId, deps, facts);
    }
  });
}

function refusal(
  thrown: unknown,
  cancelled: boolean,
  executionId: ExecutionId,
  { logger, secrets }: ProtocolDeps,
  facts: CallFacts,
): ProtocolError {
  if (isRaisedOnPurpose(thrown)) logger.child(facts).info({ code: thrown.code }, 'request refused');
  else if (!cancelled) logger.child(facts).error({ err: thrown }, 'request failed');
  const failure = withoutSecrets(failureOf(thrown, cancelled, executionId, 'server'), (text) => secrets.blankOwn(text));
  const { code, message, hint } = failure;
  const callers = code === 'USAGE' || code === 'NOT_FOUND';
  const words = hint === undefined ? `${code}: ${message}` : `${code}: ${message}\n${hint}`;
  const number = callers ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError;
  return new ProtocolError(number, words, { 'systemprompt/error': JSON.parse(JSON.stringify(failure)) });
}

type Validated = { readonly value: unknown } | { readonly issues: readonly { readonly message: string }[] };

/** @throws ProtocolError with what is wrong */
export async function validated(
  subject: string,
  schema: { readonly '~standard': { validate(value: unknown): unknown } },
  value: unknown,
): Promise<unknown> {
  const checked = (await schema['~standard'].validate(value)) as Validated & {
    readonly issues?: readonly { readonly message: string; readonly path?: readonly PropertyKey[] }[];
  };
  if (checked.issues === undefined) return (checked as { readonly value: unknown }).value;
  const findings = checked.issues.map(({ path, message }) => `${path?.map(String).join('.') ?? ''} ${message}`.trim());
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Invalid arguments for ${subject}: ${findings.join('; ')}`);
}
